"""The dilated core: schedules, layers, receptive fields and what any training run needs."""
