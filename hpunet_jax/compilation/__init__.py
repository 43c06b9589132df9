"""What a training step costs on TPUs that need not be there: compiled ahead of time."""
