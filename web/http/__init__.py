"""What every route shares: bodies, answers, problems, waiting, transfers, the OpenAPI document."""
