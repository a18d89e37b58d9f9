"""Two scales on which every distribution can be measured, whatever it was trained on: nats of the same events.

16-bit samples are what WAV files hold; a softmax over codes spreads a code's probability evenly over the 16-bit
values that it stands for. Codes of mu-law with 256 classes are what most figures in the literature count; a mixture's
probability of one is the mass of its 16-bit values.
"""

from __future__ import annotations

from torch import Tensor

from wavenet.distributions import Distribution, grid
from wavenet.distributions.mu_law import cells, mu_law_encode


def nats_16(output: Distribution, parameters: Tensor, wave: Tensor) -> Tensor:
    """Of each sample's nearest 16-bit value: ``parameters [*, channels], wave [*] -> [*]``."""
    number = grid.number_of(wave)
    return -output.log_mass(parameters, number, number + 1)


def nats_mu_law(output: Distribution, parameters: Tensor, wave: Tensor) -> Tensor:
    """Of each sample's code among 256: ``parameters [*, channels], wave [*] -> [*]``."""
    first, end = (each.to(wave.device) for each in cells(256))
    code = mu_law_encode(wave)
    return -output.log_mass(parameters, first[code], end[code])
