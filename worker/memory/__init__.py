"""How much memory a job will take: `model` predicts, `estimate` decides, `peaks` learns."""
