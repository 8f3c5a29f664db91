"""How much memory a job will use: `model` predicts, `estimate` decides, `peaks` corrects."""
