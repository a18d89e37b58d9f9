"""A causal WaveNet: recordings in, a model out, and WAV files from it."""
