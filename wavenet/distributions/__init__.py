"""What is predicted for each sample. One file a distribution; the union is registry, config type and JSON tag.

A distribution is weightless. Outside of it a waveform is always floats in [-1, 1]; the values of it that a
distribution can produce are numbered from 0 up, from the lowest to the highest. Its members:

``values``                          how many values there are
``scale``                           in words, what its bits per sample are counted on
``slack``                           how far from the reference's an engine's sample may lie, by its sums' last bits
``fine``                            whether bfloat16 is too coarse for its parameters
``channels``                        how many numbers a sample the network must give
``initial() -> [channels]``         numbers to begin training with
``input_layer(width)``              the module that takes encoded samples ``[*, …]`` to ``[*, width]``
``encode(wave [*])``                samples as the input layer wants them: places in its table
``number_of(wave [*]) -> [*]``      the number of the nearest value
``value_of(number [*]) -> [*]``     and back
``quantise(wave [*]) -> [*]``       the nearest value
``edges() -> [values - 1]``         where the cells of neighbouring values meet, float64
``nll(parameters [*, channels], wave [*]) -> [*]``   negative log likelihood of the nearest values in nats
``log_mass(parameters [*, channels], low [*], high [*]) -> [*]``   log probability of the numbers from ``low`` to below
                                    ``high`` of the 16-bit grid (``wavenet.distributions.grid``), at least one of them
``check_drawing(drawing)``          ValueError for a way of drawing that it does not have
``sample(parameters [*, channels], uniform [*], drawing) -> wave [*]``   a draw from a given uniform number

By ``log_mass`` any two can be compared (``wavenet.distributions.scales``).
"""

from wavenet.distributions.categorical import Categorical
from wavenet.distributions.drawing import GREEDY, PLAIN, Drawing
from wavenet.distributions.gaussian import Gaussian
from wavenet.distributions.logistic_mixture import LogisticMixture

Distribution = Categorical | LogisticMixture | Gaussian

BY_NAME: dict[str, Distribution] = {
    "categorical": Categorical(),
    "logistic-mixture": LogisticMixture(),
    "gaussian": Gaussian(),
    "gaussian-mixture": Gaussian(mixtures=10),
}
"""What ``--output`` calls the usual ones."""

__all__ = ["BY_NAME", "GREEDY", "PLAIN", "Categorical", "Distribution", "Drawing", "Gaussian", "LogisticMixture"]
