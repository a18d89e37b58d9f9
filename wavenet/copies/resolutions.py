"""Multi-resolution STFT distance: fine in time and fine in frequency at once, as vocoders are often trained by."""

from __future__ import annotations

from torch import Tensor

from wavenet.copies.spectra import amplitudes, floored

RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))  # FFT, hop and Hann window in samples


def stft_distance(recording: Tensor, copy: Tensor) -> float:
    """Spectral convergence plus mean |ln A/Â|, mean over three resolutions (Yamamoto et al., arXiv 1910.11480).

    Of two waves ``[t]``; without a unit. Spectral convergence is ‖A − Â‖ / ‖A‖. FFT sizes, hops and windows are the
    paper's in samples; its sound is at 24 kHz and ours at 16. Not symmetric: it is relative to the recording.

    >>> import math, torch
    >>> wave = torch.randn(8000, generator=torch.Generator().manual_seed(0))
    >>> abs(stft_distance(wave, wave / 2) - (0.5 + math.log(2))) < 1e-3
    True
    """
    total = 0.0
    for n_fft, hop, window in RESOLUTIONS:
        ours, theirs = floored(*(amplitudes(wave, n_fft, hop, window) for wave in (recording, copy)))
        convergence = (ours - theirs).norm() / ours.norm()
        total += float(convergence + (ours / theirs).log().abs().mean())
    return total / len(RESOLUTIONS)
