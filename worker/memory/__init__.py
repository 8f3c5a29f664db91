"""How much memory a job will take: `model` predicts, `needs` decides, `peaks` learns."""
