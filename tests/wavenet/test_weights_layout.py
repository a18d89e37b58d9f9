"""What the model card says of the weights is enough to compute with them, in numpy alone."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tests.wavenet.networks import small_network
from wavenet.conditioning import Condition, Frames, Labels
from wavenet.distributions import Categorical, Gaussian, LogisticMixture
from wavenet.mel import Mel
from wavenet.weights import forward, layout

LABELS = Labels(names=("george", "lucas", "theo"), width=3)
FRAMES = Frames(channels=4, hop=7, width=5, reach=2, mean=0.3, deviation=1.7)
PREDICTED = {"output": Gaussian(), "frames": Mel(predictor=8)}
TOLD = pytest.mark.parametrize(
    "told",
    [{}, {"labels": LABELS}, {"frames": FRAMES}, {"labels": LABELS, "frames": FRAMES}],
    ids=["nothing", "a label", "frames", "both"],
)


def read(table, level):
    """Between the rows of a table of 256."""
    below = np.minimum(np.floor(level).astype(int), 254)
    share = (level - below)[:, None]
    return (1 - share) * table[below] + share * table[below + 1]


def by_the_document(folder, x, label, frames, expected=None):
    """The steps of the card: ``x [t]`` in [-1, 1] to ``[t, channels]``; float64 inside.

    ``expected [2, silence + t]`` are step 7's m and v, from as far back as the blocks look.
    """
    config = json.loads((folder / "config.json").read_text())["model"]
    w = {name: value.astype(np.float64) for name, value in load_file(folder / "model.safetensors").items()}
    relu = lambda a: np.maximum(a, 0)  # noqa: E731
    d, K = config["dilations"], config["kernel_size"]  # noqa: N806
    silence = (K - 1) * sum(d) + 1
    t = np.arange(-silence + 1, len(x))  # the times of h[t]; it holds x[t−1]
    past = np.concatenate([np.zeros(silence), x])[: len(t)]

    mu = (len(w["input.weight"]) if config["output"]["type"] == "Categorical" else 256) - 1
    if config["output"]["type"] != "Categorical":
        past = np.floor(past * 32768 + 0.5).clip(-32768, 32767) / 32768
    level = (np.sign(past) * np.log(1 + mu * np.abs(past)) / np.log(1 + mu) + 1) / 2 * mu
    if config["output"]["type"] == "Categorical":
        h = w["input.weight"][np.floor(level + 0.5).astype(int)]
    else:
        h = read(w["input.weight"], level)
    if expected is not None:
        m, v = expected[:, :-1]
        off = ((past - m) / np.exp(v) / 8).clip(-1, 1)
        h = h + read(w["surprise.weight"], (np.sign(off) * np.log1p(255 * np.abs(off)) / np.log(256) + 1) / 2 * 255)

    C = []  # noqa: N806
    if label is not None:
        C.append(np.tile(w["conditioning.label.weight"][label], (len(t), 1)))
    if frames is not None:
        c, wide = config["frames"], w["conditioning.encoder.0.weight"]
        near = np.arange(t[0] // c["hop"] - 1, t[-1] // c["hop"] + 3)  # every frame that some t needs
        around = (near[:, None] + np.arange(-c["reach"], c["reach"] + 1)).clip(0, frames.shape[1] - 1)
        seen = (frames[:, around] - c["mean"]) / c["deviation"]  # [channels, f, taps]
        e = relu(np.einsum("ocr,cfr->fo", wide, seen) + w["conditioning.encoder.0.bias"])
        e = e @ w["conditioning.encoder.2.weight"][..., 0].T + w["conditioning.encoder.2.bias"]
        j, m = t // c["hop"] - near[0], t % c["hop"]
        kernel = w["conditioning.kernel"]
        C.append(kernel[0, m, None] * e[j] + kernel[1, m, None] * e[j + 1])

    g = []
    for at, dilation in enumerate(d):
        b = f"blocks.{at}"
        back = [np.concatenate([np.repeat(h[:1], (K - 1 - k) * dilation, 0), h])[: len(h)] for k in range(K)]
        z = w[f"{b}.dilated.bias"] + sum(back[k] @ w[f"{b}.dilated.weight"][:, :, k].T for k in range(K))
        z = z + (np.concatenate(C, 1) @ w[f"{b}.condition.weight"][..., 0].T if C else 0)
        filter, gate = np.split(z, 2, axis=1)
        g.append(np.tanh(filter) / (1 + np.exp(-gate)))
        if f"{b}.residual.weight" in w:
            h = h + w[f"{b}.residual.bias"] + g[-1] @ w[f"{b}.residual.weight"][..., 0].T
    y = np.concatenate(g, 1)
    for name in ("skip", "hidden", "output"):
        y = (y if name == "skip" else relu(y)) @ w[f"{name}.weight"][..., 0].T + w[f"{name}.bias"]
    y = y[-len(x) :]
    if expected is not None:
        m, v = expected[:, -len(x) :, None]
        logits, means, scales = np.split(y, 3, axis=1)
        y = np.concatenate([logits, (m + np.exp(v) * means) * 16, scales + v], axis=1)
    return y


@TOLD
@pytest.mark.parametrize("kernel_size", [1, 2, 3])
@pytest.mark.parametrize("output", [Categorical(), Categorical(classes=16), LogisticMixture(mixtures=3)], ids=str)
@torch.inference_mode()
def test_numpy_computes_what_the_model_does_from_the_document_alone(tmp_path, told, kernel_size, output):
    model = small_network(kernel_size=kernel_size, output=output, **told)
    model.save_pretrained(tmp_path)
    wave = torch.rand(1, 90) * 2 - 1
    label = torch.tensor([2]) if "labels" in told else None
    frames = torch.randn(1, FRAMES.channels, 12) if "frames" in told else None
    expected = model(wave, Condition(label, frames) if told else None)[0]
    numbers = (wave[0].double().numpy(), label and int(label), None if frames is None else frames[0].double().numpy())
    found = torch.from_numpy(by_the_document(tmp_path, *numbers))
    assert expected.std() > 0.1
    close = 1e-5 if isinstance(output, Categorical) else 2e-4  # float32 has no finer places between 255 rows
    torch.testing.assert_close(found, expected.double(), atol=close, rtol=close)


@torch.inference_mode()
def test_numpy_computes_what_a_model_with_a_linear_predictor_does(tmp_path):
    mel = Mel(channels=8, hop=7, n_fft=64, width=5, predictor=6)
    model = small_network(output=LogisticMixture(mixtures=3), frames=mel)
    model.save_pretrained(tmp_path)
    wave = (torch.rand(1, 90) * 2 - 1) / 10
    told = Condition(frames=mel.of(wave))
    behind_silence = torch.nn.functional.pad(wave, (model.receptive_field, 0))
    expected = model.prior(behind_silence, told)[0].double().numpy().T
    numbers = (wave[0].double().numpy(), None, told.frames[0].double().numpy())
    found = torch.from_numpy(by_the_document(tmp_path, *numbers, expected))
    torch.testing.assert_close(found, model(wave, told)[0].double(), atol=2e-4, rtol=2e-4)


@TOLD
@pytest.mark.parametrize(
    "shape",
    [{}, {"dilations": (3,)}, {"kernel_size": 1}, {"output": Gaussian()}, {"output": Gaussian(mixtures=4)}, PREDICTED],
    ids=str,
)
def test_the_layout_names_every_tensor_and_its_shape(told, shape):
    model = small_network(**{**told, **shape})
    named = {each.name: each.shape for each in layout(model.config)}
    assert named == {name: tuple(value.shape) for name, value in model.state_dict().items()}


@pytest.mark.parametrize("frames", [FRAMES, Mel(predictor=8)], ids=["frames", "linear predictor"])
def test_every_tensor_is_spoken_of(frames):
    config = small_network(labels=LABELS, frames=frames, output=Gaussian()).config
    text = forward(config)
    for weight in layout(config):
        name = weight.name.removeprefix("blocks.").lstrip("0123456789.").removeprefix("conditioning.")
        assert name in text or name.rpartition(".")[0] in text, weight
