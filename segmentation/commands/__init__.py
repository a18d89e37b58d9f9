"""What each command does: one file a command, whose ``run`` takes arguments and returns the exit code."""
