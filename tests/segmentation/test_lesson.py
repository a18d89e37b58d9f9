"""The lesson's names: they exist, have the sizes that are known, and learn."""

import torch
from torch import nn

import segmentation
from segmentation import ASPPModule, DilatedSegNet, create_segmentation_dataset, train_segmentation
from segmentation.lesson import CLASSES, scored
from segmentation.palette import IGNORE


def test_every_exported_name_is_there() -> None:
    assert all(getattr(segmentation, name) for name in segmentation.__all__)


def test_parameters_are_the_lessons() -> None:
    def count(module: nn.Module) -> int:
        return sum(each.numel() for each in module.parameters())

    assert count(ASPPModule(256, 256)) == 2_231_296
    assert count(DilatedSegNet(3)) == 3_268_099
    assert count(DilatedSegNet(num_classes=3).classifier.aspp) == 2_231_296


def test_the_network_keeps_the_size_and_trains_on_a_batch_of_one() -> None:
    images, masks = torch.randn(1, 3, 19, 33), torch.randint(0, 3, (1, 19, 33))
    network = DilatedSegNet(3, width=4).train()
    logits = network(images)
    assert logits.shape == (1, 3, 19, 33)
    nn.functional.cross_entropy(logits, masks).backward()
    assert all(each.grad is not None for each in network.parameters())


def test_the_data_set_varies_and_is_the_same_for_a_seed() -> None:
    images, masks = create_segmentation_dataset(8, (32, 48), seed=3)
    again, first = create_segmentation_dataset(4, (32, 48), seed=3)
    assert torch.equal(images[:4], again)
    assert torch.equal(masks[:4], first)
    assert set(masks.unique().tolist()) == set(range(len(CLASSES)))
    shares = (masks > 0).float().mean((1, 2))
    assert shares.std() > 0.02  # of the picture
    assert not torch.equal(images, create_segmentation_dataset(8, (32, 48), seed=4)[0])


def test_colour_tells_things_from_ground_but_not_bodies_from_strokes() -> None:
    images, masks = create_segmentation_dataset(60)
    ground, body, stroke = (images.mean(1)[masks == kind].mean() for kind in range(3))
    assert min(body, stroke) - ground > 1  # standard deviation of natural pictures
    assert abs(body - stroke) < 0.2


def test_strokes_are_thin_and_bodies_are_not() -> None:
    _, masks = create_segmentation_dataset(60)

    def left(kind: int) -> float:
        """The share that survives when two pixels are taken off every edge."""
        inside = (masks == kind).float()[:, None]
        return float(-nn.functional.max_pool2d(-inside, 5, 1, 2).sum() / inside.sum())

    assert left(2) < 0.02
    assert left(1) > 0.3


def test_no_constant_mask_scores_well() -> None:
    class Constant(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return nn.functional.one_hot(torch.zeros(len(images), *images.shape[2:]).long(), 3).permute(0, 3, 1, 2)

    assert scored(Constant(), *create_segmentation_dataset(40)).mean_iou < 0.34


def test_training_is_the_same_for_a_seed_and_lowers_the_loss() -> None:
    images, masks = create_segmentation_dataset(16, (24, 32))

    def trained(seed: int) -> list[float]:
        torch.manual_seed(0)
        network = DilatedSegNet(3, stem_stride=2, width=4)
        done = train_segmentation(network, images, masks, held=(images, masks), steps=60, batch=4, seed=seed)
        assert done.confusion.pixels == masks.numel()
        assert not network.training
        return list(done.losses)

    first = trained(0)
    assert first == trained(0) != trained(1)
    assert sum(first[-5:]) < 0.9 * sum(first[:5])


def test_ignored_pixels_neither_teach_nor_count() -> None:
    images, masks = create_segmentation_dataset(4, (16, 16))
    hidden = masks.clone()
    hidden[:, :8] = IGNORE
    assert scored(nn.Conv2d(3, 3, 1), images, hidden).pixels == hidden.numel() // 2
