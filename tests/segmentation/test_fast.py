"""The inference form: the same answers as the plain network, whatever the size; and what it claims about itself."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from segmentation import fast
from segmentation.fast import InferenceForm, folded
from segmentation.networks import DeepLabV3, DeepLabV3Plus, Network, PoolFree, Segmenter

NETWORKS = {
    "V3": DeepLabV3(depth=18, width=8, channels=8, auxiliary=True),
    "V3 of bottlenecks": DeepLabV3(depth=50, output_stride=16, width=4, channels=8),
    "V3+": DeepLabV3Plus(depth=18, width=8, channels=8),
    "V3+ of bottlenecks": DeepLabV3Plus(depth=50, output_stride=32, width=4, channels=8, auxiliary=True),
    "dilated": PoolFree(stem_stride=1, width=4),
    "dilated, no pooling": PoolFree(stem_stride=2, width=4, image_pooling=False),
}
SIZES = [(65, 97), (64, 48), (1, 40), (33, 2), (1, 1)]


def trained(network: Network, classes: int = 5) -> Segmenter:
    """With norms as after training: none of their four parts is 0 or 1."""
    model = network.build(classes).eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean, std=0.1)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.2)
    return model


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("by_onednn", [True, False])
def test_logits_are_the_plain_networks_at_any_size(name: str, by_onednn: bool, monkeypatch) -> None:
    if not by_onednn:
        monkeypatch.setattr(fast, "_by_onednn", lambda _: False)
    model = trained(NETWORKS[name])
    form = InferenceForm(model)
    for at, size in enumerate(SIZES):
        images = torch.randn(1 + at % 2, 3, *size)
        before = images.clone()
        with torch.inference_mode():
            assert relative(form(images), model(images)) < 1e-5
        assert torch.equal(images, before)


@pytest.mark.parametrize("name", ["V3", "V3+", "dilated"])
def test_the_argmax_differs_at_most_where_the_two_best_are_as_good_as_equal(name: str) -> None:
    model, images = trained(NETWORKS[name], classes=21), torch.randn(1, 3, 240, 320)
    with torch.inference_mode():
        expected = model(images)
        differs = InferenceForm(model)(images).argmax(1) != expected.argmax(1)
    best, second = expected.topk(2, dim=1).values.unbind(1)
    assert differs.float().mean() <= 1e-4
    assert (best - second)[differs].lt(1e-3).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_norm_is_folded_and_heads_for_training_are_gone(name: str) -> None:
    form = InferenceForm(NETWORKS[name].build(5))
    kinds = [type(module) for module in form.modules()]
    assert not any(issubclass(kind, nn.BatchNorm2d | nn.ReLU | nn.Conv2d | nn.Dropout) for kind in kinds)
    steps = {node.target for node in form.graph.graph.nodes if node.op != "call_module"}
    assert F.relu not in steps
    assert "add_" not in steps


def test_making_the_form_leaves_the_network_as_it_was_and_later_training_does_not_change_the_form() -> None:
    model = trained(NETWORKS["V3"]).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    form, images = InferenceForm(model), torch.randn(1, 3, 40, 40)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    first = form(images)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert torch.equal(form(images), first)
    assert torch.equal(form.train()(images), first)  # there is nothing in it that training changes


def test_a_folded_norm_is_exact_algebra() -> None:
    conv, norm = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5).eval()
    for each in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(each)
    nn.init.uniform_(norm.running_var, 0.1, 2)
    images = torch.randn(2, 3, 8, 8)
    weight, bias = folded(conv, norm)
    assert torch.allclose(F.conv2d(images, weight, bias), norm(conv(images)), atol=1e-5)
    assert torch.equal(folded(conv, None)[0], conv.weight)


def test_bfloat16_is_close_and_answers_in_float32() -> None:
    model, images = trained(NETWORKS["V3+"]), torch.randn(1, 3, 64, 96)
    found = InferenceForm(model, bfloat16=True)(images)
    with torch.inference_mode():
        expected = model(images)
    assert found.dtype == torch.float32
    assert 1e-5 < relative(found, expected) < 0.05


def test_memory_by_the_pixel_is_what_the_widest_moment_takes() -> None:
    small, large = (InferenceForm(PoolFree(stem_stride=1, width=width).build(2)) for width in (4, 8))
    assert large.bytes_per_pixel == 2 * small.bytes_per_pixel
    # all five branches of the pyramid, then what they are put together to
    assert small.bytes_per_pixel == 4 * (5 + 5) * 16
    assert InferenceForm(NETWORKS["V3"].build(2)).bytes_per_pixel < small.bytes_per_pixel
