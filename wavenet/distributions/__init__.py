"""What is predicted for each sample. One file a distribution; the union is registry, config type and JSON tag.

A distribution is weightless. Outside of it a waveform is always floats in [-1, 1]. Its members:

``channels``                        how many numbers a sample the network must give
``input_layer(width)``              the module that takes encoded samples ``[*, …]`` to ``[*, width]``
``encode(wave [*])``                samples as the input layer wants them
``nll(parameters [*, channels], wave [*]) -> [*]``   negative log likelihood in nats
``sample(parameters [*, channels], uniform [*], temperature) -> wave [*]``   a draw from a given uniform number
``quantise(wave [*]) -> [*]``       the nearest waveform that it can produce
"""

from wavenet.distributions.categorical import Categorical

Distribution = Categorical

__all__ = ["Categorical", "Distribution"]
