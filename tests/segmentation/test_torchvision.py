"""Torchvision as the judge: the same entries, the same answers, the same learning; and each silent mistake shows.

Every mistake here loads torchvision's weights without a word, and gives other answers.
"""

import copy

import pytest
import torch
from torch import Tensor, nn

from segmentation.losses import CrossEntropy
from segmentation.networks import DeepLabV3, Segmenter
from segmentation.palette import VOC
from segmentation.transforms import IMAGENET
from segmentation.weights import fill, network_of

torchvision = pytest.importorskip("torchvision")
published = torchvision.models.segmentation

SIZES = [(65, 97), (130, 51)]
CLASSES, TOLERANCE = 21, 1e-5


def theirs_of(depth: int = 50, auxiliary: bool = True) -> nn.Module:
    make = {50: published.deeplabv3_resnet50, 101: published.deeplabv3_resnet101}[depth]
    return make(weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=auxiliary)


@pytest.fixture(scope="module")
def fresh() -> tuple[nn.Module, Segmenter]:
    """Both networks as one seed makes them."""
    torch.manual_seed(3)
    theirs = theirs_of()
    torch.manual_seed(3)
    return theirs, DeepLabV3(depth=50, auxiliary=True).build(CLASSES)


@pytest.fixture(scope="module")
def pair(fresh: tuple[nn.Module, Segmenter]) -> tuple[nn.Module, Segmenter]:
    """Torchvision's network with statistics as after training, and ours filled with its weights; for prediction."""
    torch.manual_seed(4)
    theirs, ours = copy.deepcopy(fresh)
    for norm in theirs.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean, std=0.1)
            nn.init.uniform_(norm.running_var, 0.005, 0.1)  # small enough for a wrong eps to show
            nn.init.uniform_(norm.weight, 0.05, 0.3)
    fill(ours, theirs.state_dict())
    return theirs.eval(), ours.eval()


def difference(ours: Tensor, theirs: Tensor) -> float:
    """The largest, as a share of the largest logit."""
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("depth", [50, 101])
@pytest.mark.parametrize("auxiliary", [True, False])
def test_entries_are_torchvisions_by_name_order_and_shape(depth: int, auxiliary: bool) -> None:
    with torch.device("meta"):
        theirs = theirs_of(depth, auxiliary).state_dict()
        network = DeepLabV3(depth=depth, auxiliary=auxiliary)
        ours = network.build(CLASSES).state_dict()
    assert list(ours) == list(theirs)
    assert [value.shape for value in ours.values()] == [value.shape for value in theirs.values()]
    assert network_of(theirs) == (network, CLASSES)


def test_one_seed_gives_the_same_weights(fresh: tuple[nn.Module, Segmenter]) -> None:
    theirs, ours = (model.state_dict() for model in fresh)
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


@pytest.mark.parametrize("size", SIZES)
def test_answers_are_torchvisions_at_odd_sizes(pair: tuple[nn.Module, Segmenter], size: tuple[int, int]) -> None:
    theirs, ours = pair
    images = torch.randn(1, 3, *size)
    with torch.inference_mode():
        expected = theirs(images)
        logits, auxiliary = ours.with_auxiliary(images)
        assert difference(ours(images), expected["out"]) <= TOLERANCE
    assert difference(logits, expected["out"]) <= TOLERANCE
    assert difference(auxiliary, expected["aux"]) <= TOLERANCE


def test_answers_are_torchvisions_without_an_auxiliary_head(pair: tuple[nn.Module, Segmenter]) -> None:
    theirs = copy.copy(pair[0])
    theirs._modules = {**theirs._modules, "aux_classifier": None}
    with torch.device("meta"):
        ours = DeepLabV3(depth=50).build(CLASSES)
    ours.to_empty(device="cpu").eval().load_state_dict(theirs.state_dict())
    images = torch.randn(1, 3, 65, 97)
    with torch.inference_mode():
        expected = theirs(images)
        assert "aux" not in expected
        assert difference(ours(images), expected["out"]) <= TOLERANCE
        assert ours.with_auxiliary(images)[1] is None


def test_learning_is_torchvisions_step_by_step(fresh: tuple[nn.Module, Segmenter]) -> None:
    losses, models = [], [copy.deepcopy(model).train() for model in fresh]
    images, target = torch.randn(2, 3, 65, 49), torch.randint(0, CLASSES, (2, 65, 49))
    target[:, :10] = 255
    for model in models:
        torch.manual_seed(5)  # dropout
        if isinstance(model, Segmenter):
            logits, auxiliary = model.with_auxiliary(images)
            loss = CrossEntropy()(logits, target) + 0.5 * CrossEntropy()(auxiliary, target)
        else:
            answer, judge = model(images), nn.CrossEntropyLoss(ignore_index=255)
            loss = judge(answer["out"], target) + 0.5 * judge(answer["aux"], target)
        loss.backward()
        losses.append(loss.detach())
    torch.testing.assert_close(losses[1], losses[0])
    gradients = [{name: each.grad for name, each in model.named_parameters()} for model in models]
    for name, theirs in gradients[0].items():
        assert float((gradients[1][name] - theirs).norm() / theirs.norm()) < 1e-4, name
    for (name, ours), theirs in zip(models[1].named_buffers(), models[0].buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6, msg=name)


def test_101_layers_answer_and_learn_as_torchvisions() -> None:
    theirs = theirs_of(101, auxiliary=False)
    ours = DeepLabV3(depth=101).build(CLASSES)
    ours.load_state_dict(theirs.state_dict())
    images, target = torch.randn(2, 3, 33, 49), torch.randint(0, CLASSES, (2, 33, 49))
    for model in (theirs, ours):
        model.train()
        model.classifier[0].project[3].p = 0.0  # no dropout
    expected, logits = theirs(images)["out"], ours(images)
    assert difference(logits.detach(), expected.detach()) <= TOLERANCE
    nn.CrossEntropyLoss()(expected, target).backward()
    CrossEntropy()(logits, target).backward()
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert float((mine.grad - other.grad).norm() / other.grad.norm()) < 1e-3, name
    with torch.inference_mode():
        assert difference(ours.eval()(images), theirs.eval()(images)["out"]) <= TOLERANCE


def dilate(conv: nn.Conv2d, dilation: int) -> None:
    conv.dilation = conv.padding = (dilation, dilation)


def first_block_dilated(stage: str, dilation: int):
    def change(model: Segmenter) -> None:
        dilate(model.backbone.get_submodule(f"{stage}.0.conv2"), dilation)

    return change


def multi_grid(model: Segmenter) -> None:
    for block, factor in zip(model.backbone.layer4, (1, 2, 4), strict=True):
        dilate(block.conv2, 4 * factor)


def rates(*values: int):
    def change(model: Segmenter) -> None:
        for branch, rate in zip(model.classifier.aspp.convs[1:4], values, strict=True):
            dilate(branch[0], rate)

    return change


def output_stride_16(model: Segmenter) -> None:
    for name, module in model.backbone.layer3.named_modules():
        if name.endswith("conv2"):
            dilate(module, 1)
    for name, module in model.backbone.layer4.named_modules():
        if name.endswith("conv2"):
            dilate(module, 1 if name.startswith("0.") else 2)
    model.backbone.layer3[0].conv2.stride = model.backbone.layer3[0].downsample[0].stride = (2, 2)


def stride_on_the_first_1x1(model: Segmenter) -> None:
    block = model.backbone.layer2[0]
    block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride


def eps_of_tensorflow(model: Segmenter) -> None:
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eps = 1e-3


def corners_aligned(model: Segmenter) -> None:
    def enlarged(logits: Tensor, images: Tensor) -> Tensor:
        return nn.functional.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=True)

    model._enlarged = enlarged


def one_after_the_other(*changes):
    def change(model: Segmenter) -> None:
        for each in changes:
            each(model)

    return change


MISTAKES = {
    "layer3 begins with its new dilation": first_block_dilated("layer3", 2),
    "layer4 begins with its new dilation": first_block_dilated("layer4", 4),
    "multi-grid in layer4": multi_grid,
    "rates of output stride 16 at 8": rates(6, 12, 18),
    "output stride 16 with its rates": one_after_the_other(output_stride_16, rates(6, 12, 18)),
    "output stride 16 with the rates of 8": output_stride_16,
    "the stride on the first 1×1": stride_on_the_first_1x1,
    "TensorFlow's eps": eps_of_tensorflow,
    "corners aligned": corners_aligned,
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_silent_mistake_would_show(pair: tuple[nn.Module, Segmenter], name: str) -> None:
    theirs, wrong = pair[0], copy.deepcopy(pair[1])
    MISTAKES[name](wrong)
    wrong.load_state_dict(theirs.state_dict())  # silent
    images = torch.randn(1, 3, 97, 65)
    with torch.inference_mode():
        expected = theirs(images)["out"]
        assert difference(wrong(images), expected) > 100 * TOLERANCE
        assert difference(pair[1](images), expected) <= TOLERANCE


def test_pictures_are_normalised_as_the_published_weights_expect_and_anything_else_would_show(pair) -> None:
    weights = published.DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1
    preset = weights.transforms()
    assert (tuple(preset.mean), tuple(preset.std)) == (IMAGENET.mean, IMAGENET.std)
    assert tuple(weights.meta["categories"]) == ("__background__", *VOC.names[1:])
    picture = torch.rand(1, 3, 33, 49)
    mean, std = (torch.tensor(each)[:, None, None] for each in (IMAGENET.mean, IMAGENET.std))
    ours = pair[1]
    with torch.inference_mode():
        right = ours((picture - mean) / std)
        torch.testing.assert_close(
            right, ours(torchvision.transforms.functional.normalize(picture, preset.mean, preset.std))
        )
        for wrong in (picture, (picture.flip(1) - mean) / std):
            assert difference(ours(wrong), right) > 100 * TOLERANCE


def test_a_resnet_of_basic_blocks_is_torchvisions_too() -> None:
    theirs = torchvision.models.resnet18(weights=None).eval()
    ours = DeepLabV3(depth=18, output_stride=32).build(2).backbone.eval()
    known = {name: value for name, value in theirs.state_dict().items() if not name.startswith("fc.")}
    assert list(ours.state_dict()) == list(known)
    ours.load_state_dict(known)
    features = torchvision.models._utils.IntermediateLayerGetter(
        theirs, {"layer1": "low", "layer3": "middle", "layer4": "high"}
    )
    images = torch.randn(1, 3, 65, 97)
    with torch.inference_mode():
        expected = features(images)
        for name, value in ours(images)._asdict().items():
            torch.testing.assert_close(value, expected[name])
