"""Every engine draws the reference's waveform: of every output, whatever it is told, at every kernel size.

The same uniform numbers draw the same codes; of mixtures, the same values up to the last bits of float32 sums, the
output's ``slack``.
"""

from dataclasses import replace

import pytest
import torch

from tests.wavenet.networks import small_network
from tests.wavenet.test_conditioning import KINDS, told
from wavenet.conditioning import Condition
from wavenet.distributions import BY_NAME, GREEDY, PLAIN, Categorical, Distribution, Drawing
from wavenet.mel import Mel
from wavenet.model import WaveNet, WaveNetConfig
from wavenet.sampler import ENGINES, run, uniforms
from wavenet.sampler.reference import redrawn

EXPECTING = Mel(channels=8, hop=7, n_fft=64, width=5, reach=1, predictor=6)
TOLD = {
    "none": (None, None),
    **KINDS,
    "frames with a predictor": (None, EXPECTING),
    "labels and a predictor": (KINDS["labels"][0], EXPECTING),
}
OUTPUTS = {**BY_NAME, "categorical": Categorical(classes=40)}
DRAWINGS = {"plain": PLAIN, "top-k and top-p": Drawing(1.2, 12, 0.9), "greedy": GREEDY}
STREAMS, PROMPT, SAMPLES = 3, 9, 40  # behind a receptive field of 12 to 23


def network(output: Distribution, kind: str, kernel_size: int) -> WaveNet:
    """Codes: wild, every path matters. Mixtures: small changes stay small, as when training begins."""
    labels, frames = TOLD[kind]
    shape = {"kernel_size": kernel_size, "labels": labels, "frames": frames, "output": output}
    torch.manual_seed(0)
    if isinstance(output, Categorical):
        return small_network(**shape).eval()
    model = WaveNet(WaveNetConfig(dilations=(1, 2, 4, 1, 3), residual_channels=12, gate_channels=20, **shape))
    with torch.no_grad():
        model.output.weight.normal_(0, 0.02)
        model.output.bias[-output.mixtures :] -= 3
    return model.eval()


@pytest.mark.parametrize("kernel_size", [1, 2, 3], ids="kernel {}".format)
@pytest.mark.parametrize("kind", TOLD, ids="told {}".format)
@pytest.mark.parametrize(
    ("name", "how"),
    [(name, how) for name in OUTPUTS for how in DRAWINGS if name == "categorical" or how != "top-k and top-p"],
)
def test_every_engine_draws_the_waveform_of_the_reference(name: str, how: str, kind: str, kernel_size: int) -> None:
    output = OUTPUTS[name]
    if TOLD[kind][1] is EXPECTING and name == "categorical":
        pytest.skip("codes cannot be moved to what is expected")
    model, numbers = network(output, kind, kernel_size), uniforms(range(STREAMS), SAMPLES)
    condition = told(*TOLD[kind], batch=STREAMS) if kind != "none" else Condition()
    if TOLD[kind][1] is EXPECTING:
        condition = replace(condition, frames=condition.frames - 6)  # about as loud as speech
    given = {"prompt": torch.rand(STREAMS, PROMPT) - 0.5, "condition": condition, "drawing": DRAWINGS[how]}
    expected = run(model, numbers, engine="reference", **given)
    assert len(expected.unique()) > 1  # not a constant that any engine would get right
    for engine in ENGINES.keys() - {"reference"}:
        drawn = run(model, numbers, engine=engine, **given)
        if TOLD[kind][1] is EXPECTING:  # its filters would let the last bits grow from sample to sample
            expected = redrawn(model, numbers, drawn, **given)
        assert float((drawn - expected).abs().max()) <= output.slack, engine
