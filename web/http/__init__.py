"""What all routes share: bodies, answers, problems, waiting, transfers, the OpenAPI document."""
