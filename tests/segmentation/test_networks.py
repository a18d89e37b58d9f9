"""Networks: any size in, the same size out; strides, dilations and geometry are what they say they are."""

import copy

import pytest
import torch
from torch import Tensor, nn

from segmentation.backbones.resnet import ResNet
from segmentation.backbones.stack import DilatedStack
from segmentation.heads.aspp import ASPPModule, PooledNorm
from segmentation.networks import PRESETS, DeepLabV3, DeepLabV3Plus, Network, PoolFree
from shared.config import from_json, to_json
from shared.rf import Field, conv, through
from shared.rf.judge import measured_window

SMALL = {
    "V3": DeepLabV3(depth=18, width=4, channels=8, auxiliary=True),
    "V3 of bottlenecks": DeepLabV3(depth=50, output_stride=16, width=4, channels=8),
    "V3+": DeepLabV3Plus(depth=18, width=4, channels=8, auxiliary=True),
    "V3+ of bottlenecks": DeepLabV3Plus(depth=50, output_stride=32, width=4, channels=8),
    "dilated": PoolFree(stem_stride=1, width=4),
    "dilated from stride 2": PoolFree(stem_stride=2, width=4, image_pooling=False),
    "dilated from stride 4": PoolFree(stem_stride=4, width=4),
}
LAYERS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 2), (65, 97), (64, 48)])
def test_logits_have_the_size_of_the_picture(name: str, size: tuple[int, int]) -> None:
    model = SMALL[name].build(classes=5).eval()
    assert model(torch.randn(2, 3, *size)).shape == (2, 5, *size)


@pytest.mark.parametrize("name", SMALL)
def test_both_ways_to_ask_give_the_same_logits_and_the_auxiliary_ones_have_their_shape(name: str) -> None:
    model, images = SMALL[name].build(classes=5).eval(), torch.randn(1, 3, 33, 50)
    logits, auxiliary = model.with_auxiliary(images)
    assert torch.equal(logits, model(images))
    assert (auxiliary is None) == (not getattr(SMALL[name], "auxiliary", False))
    assert auxiliary is None or (auxiliary.shape == logits.shape and not torch.equal(auxiliary, logits))


def test_prediction_does_not_compute_the_auxiliary_head() -> None:
    model = SMALL["V3"].build(classes=5).eval()
    model.aux_classifier.register_forward_hook(lambda *_: pytest.fail("computed"))
    model(torch.randn(1, 3, 33, 33))


@pytest.mark.parametrize("name", SMALL)
def test_one_picture_is_enough_to_train_on_and_every_parameter_learns(name: str) -> None:
    model = SMALL[name].build(classes=5).train()
    logits, auxiliary = model.with_auxiliary(torch.randn(1, 3, 96, 96))
    (logits.square().sum() + (0 if auxiliary is None else auxiliary.square().sum())).backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


def test_a_pooled_norm_is_batch_norm_except_for_a_lone_value_which_it_takes_as_evaluation_does() -> None:
    ours, theirs = PooledNorm(3), nn.BatchNorm2d(3)
    for batch in (torch.randn(2, 3, 1, 1), torch.randn(1, 3, 1, 2), torch.randn(4, 3, 1, 1)):
        assert torch.equal(ours(batch), theirs(batch))
    before, alone = {name: value.clone() for name, value in ours.state_dict().items()}, torch.randn(1, 3, 1, 1)
    assert torch.equal(ours(alone), theirs.eval()(alone))
    assert all(torch.equal(value, before[name]) for name, value in ours.state_dict().items())
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        nn.BatchNorm2d(3)(alone)


@pytest.mark.parametrize("name", SMALL)
def test_the_last_layers_are_exactly_what_the_number_of_classes_shapes(name: str) -> None:
    five, seven = (SMALL[name].build(classes).state_dict() for classes in (5, 7))
    assert list(five) == list(seven)
    differing = tuple(key for key in five if five[key].shape != seven[key].shape)
    assert sorted(differing) == sorted(SMALL[name].build(5).last_layers)
    assert SMALL[name].build(7).classes == 7


@pytest.mark.parametrize("depth", [18, 34, 50, 101])
@pytest.mark.parametrize(
    ("output_stride", "strides", "dilations"),
    # a stage: stride and dilation of what leads into it, then the dilation of what follows
    [
        (32, (1, 2, 2, 2), ((1, 1), (1, 1), (1, 1), (1, 1))),
        (16, (1, 2, 2, 1), ((1, 1), (1, 1), (1, 1), (1, 2))),
        (8, (1, 2, 1, 1), ((1, 1), (1, 1), (1, 2), (2, 4))),
    ],
)
def test_every_convolution_of_a_resnet_has_its_stride_dilation_and_padding(depth, output_stride, strides, dilations):
    net, basic = ResNet(depth, output_stride, width=2), depth < 50
    expected = {"conv1": (7, 2, 1, 3)}
    for stage, blocks in enumerate(LAYERS[depth]):
        for block in range(blocks):
            at = f"layer{stage + 1}.{block}"
            stride = strides[stage] if block == 0 else 1
            before, after = dilations[stage][block > 0], dilations[stage][1]
            if basic:
                expected |= {f"{at}.conv1": (3, stride, before, before), f"{at}.conv2": (3, 1, after, after)}
            else:
                expected |= {f"{at}.conv1": (1, 1, 1, 0), f"{at}.conv3": (1, 1, 1, 0)}
                expected[f"{at}.conv2"] = (3, stride, before, before)
            if block == 0 and not (basic and stage == 0):
                expected[f"{at}.downsample.0"] = (1, stride, 1, 0)
    found = {name: geometry(conv) for name, conv in net.named_modules() if isinstance(conv, nn.Conv2d)}
    assert found == expected


@pytest.mark.parametrize(
    ("network", "rates"),
    [
        (DeepLabV3(depth=18, width=2, channels=4), (12, 24, 36)),
        (DeepLabV3(depth=18, width=2, channels=4, output_stride=16), (6, 12, 18)),
        (DeepLabV3Plus(depth=18, width=2, channels=4), (6, 12, 18)),
        (DeepLabV3Plus(depth=18, width=2, channels=4, output_stride=32), (3, 6, 9)),
        (DeepLabV3(depth=18, width=2, channels=4, rates=(2, 5)), (2, 5)),
        (PoolFree(width=2), (6, 12, 18)),
    ],
)
def test_every_convolution_of_a_pyramid_has_its_rate(network: Network, rates: tuple[int, ...]) -> None:
    *branches, pooling = network.build(classes=2).classifier.aspp.convs
    expected = [(1, 1, 1, 0), *((3, 1, rate, rate) for rate in rates)]
    assert [geometry(branch[0]) for branch in branches] == expected
    assert geometry(pooling[1]) == (1, 1, 1, 0)


def geometry(conv: nn.Conv2d) -> tuple[int, ...]:
    """Kernel, stride, dilation, padding; both axes alike."""
    settings = (conv.kernel_size, conv.stride, conv.dilation, conv.padding)
    assert all(vertical == horizontal for vertical, horizontal in settings)
    return tuple(value[0] for value in settings)


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("output_stride", [8, 16])
def test_a_dilated_resnet_is_the_strided_one_at_every_shift(depth: int, output_stride: int) -> None:
    strided, dilated = ResNet(depth, 32, width=4).double().eval(), ResNet(depth, output_stride, width=4).double().eval()
    dilated.load_state_dict(strided.state_dict())
    images, step = torch.randn(1, 3, 131, 70, dtype=torch.float64), 32 // output_stride
    coarse, fine = strided(images).high, dilated(images).high
    assert fine.shape[-1] > coarse.shape[-1]
    torch.testing.assert_close(fine[..., ::step, ::step], coarse)


class At(nn.Module):
    """One depth of a backbone, then perhaps a branch of the pyramid; averages stand where maxima do.

    A maximum passes its gradient to one input only; an average has the same field and passes it to all.
    """

    def __init__(self, backbone: nn.Module, depth: str, branch: nn.Module | None = None):
        super().__init__()
        self.backbone, self.depth, self.branch = copy.deepcopy(backbone), depth, branch or nn.Identity()
        if hasattr(backbone, "maxpool"):
            self.backbone.maxpool = nn.AvgPool2d(3, stride=2, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        return self.branch(getattr(self.backbone(images), self.depth))


BACKBONES = {
    "ResNet-18 at 8": ResNet(18, 8, width=2),
    "ResNet-18 at 16": ResNet(18, 16, width=2),
    "ResNet-50 at 8": ResNet(50, 8, width=2),
    "ResNet-50 at 32": ResNet(50, 32, width=2),
    "stack": DilatedStack(width=2),
    "stack from stride 2": DilatedStack(2, width=2),
    "stack from stride 4": DilatedStack(4, dilations=(1, 3), width=2),
}


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("depth", ["low", "middle", "high"])
def test_each_depth_of_a_backbone_sees_its_declared_field(name: str, depth: str) -> None:
    declared = getattr(BACKBONES[name].fields, depth)
    length = (2 * declared.size // declared.jump + 4) * declared.jump
    x = torch.rand(1, 3, length, declared.jump, dtype=torch.float64)
    assert measured_window(At(BACKBONES[name], depth).double(), x) == declared


@pytest.mark.parametrize("name", ["V3+", "dilated", "dilated from stride 2"])
def test_each_branch_of_the_pyramid_sees_its_declared_field(name: str) -> None:
    model = SMALL[name].build(classes=2).double()
    assert len(model.branches) == 4
    for declared, branch in zip(model.branches, model.classifier.aspp.convs, strict=False):
        x = torch.rand(1, 3, (declared.size // declared.jump + 6) * declared.jump, declared.jump, dtype=torch.float64)
        assert measured_window(At(model.backbone, "high", branch[0]), x) == declared


def test_known_networks_see_what_the_literature_says() -> None:
    with torch.device("meta"):
        for output_stride in (8, 16):
            model = DeepLabV3(depth=50, output_stride=output_stride).build(21)
            assert [field.size for field in model.branches] == [427, 619, 811, 1003]
            assert model.field.jump == output_stride
        lesson = PoolFree(stem_stride=1).build(3)
        assert [field.size for field in lesson.branches] == [33, 45, 57, 69]
        assert sum(parameter.numel() for parameter in lesson.parameters()) == 3_268_099
        head = PoolFree(stem_stride=1, image_pooling=False).build(3).classifier
        assert through(lesson.field, head.field) == Field(73, 1, -36)


def test_image_pooling_sees_everything_and_is_the_only_branch_that_does() -> None:
    pooled, finite = ASPPModule(3, 4, (2,)).eval(), ASPPModule(3, 4, (2,), image_pooling=False).eval()
    assert pooled.field.is_global
    assert finite.field == conv(1) | conv(3, 2)
    x, far = torch.rand(1, 3, 20, 20), torch.zeros(1, 3, 20, 20)
    far[..., 19, 19] = 100
    for module, sees in ((pooled, True), (finite, False)):
        for name, parameter in module.named_parameters():
            nn.init.constant_(parameter, 0 if name.endswith("bias") else 0.1)
        assert torch.equal(module(x)[..., 0, 0], module(x + far)[..., 0, 0]) is not sees


@pytest.mark.parametrize("stem_stride", [1, 2, 4])
def test_beyond_the_halo_nothing_changes_a_logit(stem_stride: int) -> None:
    network = PoolFree(stem_stride=stem_stride, width=4, dilations=(1, 2), rates=(3,), image_pooling=False)
    model = network.build(classes=2).double().eval()
    for name, parameter in model.named_parameters():
        nn.init.constant_(parameter, 0 if name.endswith("bias") else 0.1)  # no ReLU shuts a path
    size, at, halo = model.halo * 2 + 4 * stem_stride, model.halo + stem_stride, model.halo
    x = torch.rand(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(x)[..., at, at].sum(), x)
    rows = gradient.abs().sum((0, 1, 3)).nonzero()[:, 0]
    assert at - halo <= int(rows[0])
    assert int(rows[-1]) <= at + halo
    if stem_stride == 1:
        assert (int(rows[0]), int(rows[-1])) == (at - halo, at + halo)


@pytest.mark.parametrize("stem_stride", [1, 2])
def test_a_tile_with_its_halo_answers_as_the_whole_picture(stem_stride: int) -> None:
    network = PoolFree(stem_stride=stem_stride, width=4, dilations=(1, 2), rates=(3,), image_pooling=False)
    model = network.build(classes=3).double().eval()
    margin = -(-model.halo // stem_stride) * stem_stride
    images = torch.randn(1, 3, 3 * margin, 3 * margin, dtype=torch.float64)
    middle = slice(margin, 2 * margin)
    whole = model(images)
    tile = model(images[..., :, : 2 * margin])
    torch.testing.assert_close(tile[..., :margin], whole[..., :margin])
    tile = model(images[..., :, margin:])
    torch.testing.assert_close(tile[..., margin:], whole[..., 2 * margin :])
    assert not torch.allclose(model(images[..., middle, middle]), whole[..., middle, middle])


def test_networks_that_see_the_whole_picture_have_no_halo() -> None:
    for network in (SMALL["V3"], SMALL["V3+"], SMALL["dilated"]):
        assert network.build(2).halo is None


def test_a_wider_stem_kernel_leaves_no_pixel_unseen() -> None:
    for stem_stride in (1, 2, 4):
        low = DilatedStack(stem_stride, width=2).fields.low
        assert low.size > low.jump == stem_stride


def test_channels_stay_last_all_the_way() -> None:
    for name in ("V3 of bottlenecks", "V3+ of bottlenecks", "dilated"):
        model = SMALL[name].build(classes=5).eval().to(memory_format=torch.channels_last)
        convs = [module for module in model.modules() if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1)]
        convs.append(model.classifier.aspp.project[0])
        inputs: list[Tensor] = []
        for layer in convs:
            layer.register_forward_pre_hook(lambda _, given, kept=inputs: kept.append(given[0]))
        model(torch.randn(1, 3, 65, 97).to(memory_format=torch.channels_last))
        assert len(inputs) == len(convs)
        assert all(each.is_contiguous(memory_format=torch.channels_last) for each in inputs)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_json_and_builds(name: str) -> None:
    kinds = {kind.__name__: kind for kind in (DeepLabV3, DeepLabV3Plus, PoolFree)}
    values = to_json(PRESETS[name])
    assert from_json(kinds[values["type"]], values) == PRESETS[name]
    with torch.device("meta"):
        assert PRESETS[name].build(classes=11).classes == 11


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: DeepLabV3(depth=19), "depth is 19; it can be 18, 34, 50, 101"),
        (lambda: DeepLabV3Plus(output_stride=4), "output_stride is 4; it can be 8, 16, 32"),
        (lambda: DeepLabV3(rates=(0,)), "rates must be 0 to 16 numbers from 1 to 1024"),
        (lambda: DeepLabV3(width=0), "width must lie between 1 and 256"),
        (lambda: DeepLabV3(channels=10**6), "channels must lie between 1 and 2048"),
        (lambda: PoolFree(stem_stride=3), "stem_stride is 3; it can be 1, 2, 4"),
        (lambda: PoolFree(dilations=(1,)), "dilations must be 2 to 16 numbers"),
        (lambda: PoolFree(rates=()), "rates must be 1 to 16 numbers"),
        (lambda: DeepLabV3().build(classes=1), "classes must lie between 2 and 255, not 1"),
        (lambda: ResNet(18, output_stride=4), "output_stride is 4"),
        (lambda: DilatedStack(stem_stride=3), "stem_stride is 3"),
        (lambda: DilatedStack(dilations=(1,)), "two dilations or more"),
    ],
)
def test_what_cannot_be_built_is_said_in_a_sentence(make, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make()
