"""What any training run needs, whatever it learns: steps, averages, checkpoints, a journal, a stop that saves."""
