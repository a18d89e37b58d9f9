"""Receptive fields of whole networks: known answers, what makes them global, and what easily goes wrong."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
import torchvision.models as zoo
from torch import Tensor, nn

from segmentation.networks import DeepLabV3, DeepLabV3Plus, PoolFree
from shared import rf
from shared.layers import DilatedConvNet
from shared.rf.explanation import explain
from shared.rf.judge import projective
from shared.rf.reach import of
from shared.schedules import exponential
from wavenet.model import WaveNet, WaveNetConfig


def trunk(model: nn.Module) -> nn.Sequential:
    """A ResNet without its pooling and classifier."""
    return nn.Sequential(*list(model.children())[:-2])


class Sums(nn.Module):
    """Its modules side by side, added."""

    def __init__(self, *ways: nn.Module):
        super().__init__()
        self.ways = nn.ModuleList(ways)

    def forward(self, x: Tensor) -> Tensor:
        return sum(way(x) for way in self.ways)


@pytest.mark.parametrize(
    ("build", "shape", "size"),
    [
        (lambda: zoo.alexnet().features, (3, 224, 224), (195, 195)),
        (lambda: zoo.vgg16().features, (3, 224, 224), (212, 212)),
        (lambda: trunk(zoo.resnet18()), (3, 224, 224), (435, 435)),
        (lambda: trunk(zoo.resnet50()), (3, 224, 224), (427, 427)),
        pytest.param(lambda: trunk(zoo.resnet101()), (3, 224, 224), (971, 971), marks=pytest.mark.slow),
        (lambda: zoo.mobilenet_v2().features, (3, 224, 224), (491, 491)),
        pytest.param(lambda: zoo.densenet121().features, (3, 224, 224), (2071, 2071), marks=pytest.mark.slow),
        (lambda: trunk(zoo.video.r3d_18()), (3, 16, 112, 112), (109, 219, 219)),
        (lambda: zoo.segmentation.fcn_resnet50(weights=None, weights_backbone=None), (3, 513, 513), (443, 443)),
    ],
    ids=["AlexNet", "VGG-16", "ResNet-18", "ResNet-50", "ResNet-101", "MobileNetV2", "DenseNet-121", "r3d", "FCN"],
)
def test_published_networks_read_what_the_literature_says(
    build: Callable[[], nn.Module], shape: tuple[int, ...], size: tuple[int, ...]
) -> None:
    with torch.device("meta"):
        model = build().eval()
    reach = of(model, shape)
    assert reach.size == size
    assert not reach.is_global
    assert reach.unknown == ()


def test_deeplab_is_finite_but_for_its_image_pooling() -> None:
    with torch.device("meta"):
        model = zoo.segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None).eval()
    reach = of(model, (3, 513, 513))
    assert reach.position == (256, 256)  # a pixel that falls exactly on a cell
    assert reach.size == (1019, 1019)
    assert reach.at((255, 250)).size == (1027, 1027)
    assert reach.global_via == ("classifier.0.convs.4.0",)
    assert reach.mask.all()


@pytest.mark.slow
def test_the_branches_of_deeplab_read_427_619_811_and_1003_pixels() -> None:
    with torch.device("meta"):
        model = zoo.segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None).eval()
    branches = {layer.path: layer.axes[0].size for layer in explain(model, (3, 257, 257)).layers}
    assert branches["backbone.layer4.2.conv2"] == 427
    assert [branches[f"classifier.0.convs.{at}.0"] for at in (1, 2, 3)] == [619, 811, 1003]


def test_outputs_are_asked_for_by_name_or_number() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.near, self.far = nn.Conv1d(1, 1, 3), nn.Conv1d(1, 1, 9)

        def forward(self, x: Tensor) -> dict[str, Tensor | list[Tensor]]:
            return {"near": self.near(x), "rest": [self.far(x)]}

    assert [of(Two(), (1, 20), output=name).size for name in ("near", "rest.0", 0, 1)] == [(3,), (9,), (3,), (9,)]
    with pytest.raises(ValueError, match=r"there is no output 'logits'; there are near, rest\.0"):
        of(Two(), (1, 20), output="logits")


@pytest.mark.parametrize("kernel_size", [2, 3])
def test_our_wavenet_reads_its_declared_field(kernel_size: int) -> None:
    model = WaveNet(WaveNetConfig(dilations=exponential(5, 2), kernel_size=kernel_size)).eval()
    assert of(model, (200,)).axes == (model.field,)


def test_wavenet_reads_3070_samples_and_never_the_future() -> None:
    reach = of(WaveNet().eval(), (8000,))
    assert str(reach) == "3070 [-3070..-1], jump 1, gap-free"
    assert (reach.history, reach.lookahead) == ((3070,), (0,))


@pytest.mark.parametrize(
    "config",
    [
        DeepLabV3(depth=18, width=8, channels=8, output_stride=16),
        pytest.param(DeepLabV3(depth=50, width=8, channels=8), marks=pytest.mark.slow),
        DeepLabV3Plus(depth=18, width=8, channels=8),
        PoolFree(stem_stride=1, width=8),
        PoolFree(stem_stride=4, width=8, image_pooling=False),
    ],
    ids=lambda config: f"{type(config).__name__}",
)
def test_our_segmentation_networks_read_their_declared_fields(config: DeepLabV3 | DeepLabV3Plus | PoolFree) -> None:
    model = config.build(3).eval()
    shape = (3, 8 * model.field.jump, 8 * model.field.jump)
    whole = of(model, shape)
    assert whole.unknown == ()
    assert whole.is_global == (model.halo is None)
    assert whole.global_via == (() if model.halo is not None else ("classifier.aspp.convs.4.0",)) or (
        whole.global_via == ("classifier.0.convs.4.0",)
    )
    if model.halo is not None:
        assert max(whole.halo()) <= model.halo
    backbone = of(Deepest(model.backbone), shape)
    assert backbone.size == (model.field.size,) * 2
    assert backbone.axes[0] == model.field
    for branch, declared in zip(model.classifier.aspp.convs, model.branches, strict=False):
        assert of(nn.Sequential(Deepest(model.backbone), branch[0]), shape).axes[0] == declared


class Deepest(nn.Module):
    """A backbone's deepest features."""

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone = backbone

    def forward(self, x: Tensor) -> Tensor:
        return self.backbone(x).high


@pytest.mark.parametrize("dilations", [(1, 2, 4, 8), (2, 4, 8), (1, 9)])
def test_a_stack_reads_what_the_algebra_says_holes_and_all(dilations: tuple[int, ...]) -> None:
    reach = of(DilatedConvNet(1, 1, dilations), (1, 40, 50))
    assert reach.axes == (rf.stack(3, dilations),) * 2
    assert reach.coverage == pytest.approx(rf.stack(3, dilations).coverage ** 2)


def test_branches_unite_and_are_not_added_up() -> None:
    parallel = Sums(nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 5, padding=2))
    assert of(parallel, (1, 20, 20)).size == (5, 5)
    pyramid = Sums(nn.Conv2d(1, 1, 1), *(nn.Conv2d(1, 1, 3, padding=rate, dilation=rate) for rate in (6, 12, 18)))
    reach = of(pyramid, (1, 64, 64))
    assert reach.size == (37, 37)
    assert reach.coverage == pytest.approx(25 / 37**2)


def test_functional_layers_and_unequal_axes_are_seen() -> None:
    def run(x: Tensor) -> Tensor:
        weight = torch.ones(1, 1, 3, 5, device=x.device)
        return F.max_pool2d(F.conv2d(x, weight, stride=(1, 2)), (2, 1))

    reach = of(run, (1, 30, 40))
    assert (reach.size, [field.jump for field in reach.axes]) == ((4, 5), [2, 2])


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.GroupNorm(2, 4), (4, 9, 9)),
        (nn.InstanceNorm2d(4), (4, 9, 9)),
        (nn.BatchNorm2d(4), (4, 9, 9)),
        (nn.AdaptiveAvgPool2d(1), (4, 9, 9)),
        (nn.Sequential(nn.Flatten(), nn.Linear(4 * 81, 3)), (4, 9, 9)),
        (zoo.efficientnet_b0().features[1], (32, 16, 16)),
        (nn.LayerNorm((9, 9)), (4, 9, 9)),
        (nn.Softmax(3), (4, 9, 9)),
    ],
    ids=["group", "instance", "batch in training", "pooling", "classifier", "squeeze-excite", "layer", "softmax"],
)
def test_what_reads_the_whole_picture_is_named(layer: nn.Module, shape: tuple[int, ...]) -> None:
    model = nn.Sequential(nn.Conv2d(shape[0], shape[0], 3, padding=1), layer)
    model.train(isinstance(layer, nn.BatchNorm2d))
    reach = of(model, shape)
    assert reach.is_global
    assert all(path.startswith("1") for path in reach.global_via)
    assert not reach.finite.is_global
    with pytest.raises(ValueError, match="the whole input is read, via 1"):
        reach.halo()


ACTIVATIONS = [nn.GELU(), nn.LeakyReLU(), nn.LeakyReLU(inplace=True), nn.Hardswish(inplace=True), nn.LogSigmoid()]


@pytest.mark.parametrize(
    "layer", [nn.BatchNorm2d(4).eval(), nn.Softmax(1), nn.Dropout(), nn.LocalResponseNorm(3), *ACTIVATIONS]
)
def test_what_reads_one_position_is_not_global(layer: nn.Module) -> None:
    reach = of(nn.Sequential(nn.Conv2d(4, 4, 3), layer), (4, 9, 9))
    assert (reach.size, reach.is_global) == ((3, 3), False)


def test_attention_and_recurrence_are_global_and_causal_ones_know_no_future() -> None:
    encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    assert of(encoder, (12, 8), axes=(1,)).global_via == ("self_attn",)
    for layer in (nn.LSTM(3, 4, batch_first=True), nn.GRU(3, 4, batch_first=True)):
        assert of(layer, (12, 3), axes=(1,)).at(5).mask.tolist() == [True] * 6 + [False] * 6


def test_the_answer_is_about_one_unit_where_units_differ() -> None:
    shuffled = nn.Sequential(nn.Conv1d(1, 2, 3, stride=2, padding=1), nn.ConvTranspose1d(2, 1, 3, stride=2))
    reach = of(shuffled, (1, 32))
    sizes = {reach.at(at).size for at in range(8, 12)}
    assert len(sizes) == 2
    assert reach.largest == max(sizes)


def test_the_textbook_size_goes_on_past_the_border_and_the_mask_does_not() -> None:
    corner = of(nn.Conv2d(1, 1, 5, padding=2, padding_mode="reflect"), (1, 6, 6)).at((0, 0))
    assert corner.size == (5, 5)
    assert corner.box == ((-2, 2), (-2, 2))
    assert corner.mask.int().sum() == 9
    assert of(nn.Conv1d(1, 1, 5, padding=2, padding_mode="circular"), (1, 9)).at(0).mask.sum() == 5


def test_recording_leaves_the_module_as_it_was() -> None:
    class Remembers(nn.Module):
        last = None

        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(2)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            self.last = x
            return F.dropout(self.norm(x), training=self.training)

    model = Remembers().train()
    model.register_forward_hook(lambda *_: None)
    before, state, noise = copy.deepcopy(model.state_dict()), model.__dict__.copy(), torch.get_rng_state()
    of(model, (2, 9))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.__dict__ == state
    assert model.training
    assert torch.equal(torch.get_rng_state(), noise)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_model_that_looks_at_numbers_is_run_for_real_if_it_is_given_some() -> None:
    class Chooses(nn.Conv1d):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) if x.sum() > 0 else x

    with pytest.raises(ValueError, match=r"depends on the numbers .*; give a tensor in place of the shape"):
        of(Chooses(1, 1, 3), (1, 9))
    assert of(Chooses(1, 1, 3), torch.ones(1, 1, 9)).size == (3,)
    assert of(Chooses(1, 1, 3), -torch.ones(1, 1, 9)).size == (1,)


def test_integers_are_asked_about_by_a_tensor() -> None:
    model = nn.Sequential(nn.Embedding(7, 4), nn.LayerNorm(4))
    assert of(model, torch.zeros(1, 12, dtype=torch.long)).at(3).mask.tolist() == [at == 3 for at in range(12)]


def test_a_position_outside_the_output_is_refused() -> None:
    reach = of(nn.Conv1d(1, 1, 3), (1, 9))
    for position in (7, -1, (1, 2)):
        with pytest.raises(ValueError, match=r"is no position of an output of \(7,\)"):
            reach.at(position)


def test_the_layers_that_contribute_are_listed_with_the_field_up_to_them() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3)
    )
    layers = explain(model, (3, 64, 64)).layers
    assert [(each.path, each.kind, each.axes[0].size, each.axes[0].jump) for each in layers] == [
        ("0", "Conv2d", 7, 2), ("2", "MaxPool2d", 11, 4), ("4", "Conv2d", 19, 4),
    ]  # fmt: skip


def test_an_input_reaches_the_outputs_that_read_it() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, stride=2), nn.ReLU(), nn.Upsample(scale_factor=2))
    reach, reached = of(model, (1, 8, 8)), projective(model, (1, 8, 8), at=(5, 2))
    assert torch.equal(
        reached, torch.tensor([[bool(reach.at((row, column)).mask[5, 2]) for column in range(8)] for row in range(8)])
    )
