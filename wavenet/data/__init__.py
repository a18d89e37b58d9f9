"""Where training waveforms come from."""
