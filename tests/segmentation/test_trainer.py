"""A run is its folder: it can be stopped, killed and resumed, and ends as if nothing had happened."""

import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from segmentation import trainer
from segmentation.data import PictureFolder, Shapes
from segmentation.losses import CrossEntropy, Dice, Sum
from segmentation.model import SegmentationModel
from segmentation.networks import DeepLabV3, DeepLabV3Plus, PoolFree
from segmentation.run import Run, TrainConfig
from segmentation.transforms import Augmentation
from shared.errors import InputError
from shared.training import checkpoint, session
from shared.training.settings import Plan

RUN = Run(
    data=Shapes(count=24, size=(32, 48)),
    network=DeepLabV3Plus(depth=18, width=8, channels=16),
    train=TrainConfig(
        batch=4,
        warmup=5,
        ema=0.9,
        save_every=10,
        evaluations=2,
        previews=0,
        precision="float32",
        augmentation=Augmentation(crop=(32, 32)),
    ),
)
QUIET = Plan(threads=1, device="cpu", quiet=True)


def assert_same(one, other):
    for name in ("resume.safetensors", "model.safetensors"):
        mine, yours = (safetensors.torch.load_file(folder / name) for folder in (one, other))
        assert mine.keys() == yours.keys()
        assert all(torch.equal(mine[key], yours[key]) for key in mine)


def test_training_learns(tmp_path):
    outcome = trainer.start(RUN, tmp_path / "run", replace(QUIET, steps=60))
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [record["loss"] for record in records if "loss" in record]
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:5])
    assert records[-1]["mean_iou"] == outcome.mean_iou
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["mean_iou"] == outcome.mean_iou
    assert "background" in outcome.table
    assert (tmp_path / "run" / "curve.png").stat().st_size > 5000
    assert SegmentationModel.from_pretrained(tmp_path / "run").classes.count == 4


def test_resume_equals_no_interruption_bit_for_bit_with_sgd(tmp_path):
    run = replace(RUN, train=replace(RUN.train, optimizer="sgd", loss=Sum()))
    trainer.start(run, tmp_path / "whole", replace(QUIET, steps=16))

    class Died(Exception):
        pass

    write = session.Journal.write

    def write_until_13(self, *, step, **values):
        if step == 13:
            raise Died
        write(self, step=step, **values)

    folder = tmp_path / "broken"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session.Journal, "write", write_until_13)
        with pytest.raises(Died):
            trainer.start(run, folder, replace(QUIET, steps=16))
    assert checkpoint.training_state(folder)["step"] == 10
    torch.rand(7)  # whatever else the process did to the random state
    trainer.resume(folder, QUIET)
    assert_same(tmp_path / "whole", folder)


def test_class_weights_come_from_the_training_pictures_and_stay(tmp_path):
    run = replace(RUN, train=replace(RUN.train, loss=Sum(first=CrossEntropy(weights="median"), second=Dice())))
    trainer.start(run, tmp_path / "run", replace(QUIET, steps=2))
    weights = checkpoint.load_config(tmp_path / "run")["train"]["loss"]["first"]["class_weights"]
    assert len(weights) == 4
    assert weights[0] < min(weights[1:])  # the ground is everywhere
    trainer.resume(tmp_path / "run", replace(QUIET, steps=3))
    assert checkpoint.load_config(tmp_path / "run")["train"]["loss"]["first"]["class_weights"] == weights


def test_an_auxiliary_head_is_trained_and_costs_nothing_later(tmp_path):
    network = DeepLabV3(depth=18, width=8, channels=16, auxiliary=True)
    trainer.start(replace(RUN, network=network), tmp_path / "run", replace(QUIET, steps=3))
    model = SegmentationModel.from_pretrained(tmp_path / "run")
    torch.manual_seed(RUN.train.seed)
    fresh = network.build(4)
    moved = model.network.aux_classifier.state_dict()["4.weight"] != fresh.aux_classifier.state_dict()["4.weight"]
    assert bool(moved.any())


def pictures(folder, classes, count=6):
    """Pictures and masks in a folder; each class a brightness."""
    random = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for at in range(count):
        ids = random.integers(0, classes, (4, 5)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
        noise = random.integers(0, 20, (*ids.shape, 3))
        Image.fromarray((ids[..., None] * 40 + noise).astype(np.uint8)).save(folder / "images" / f"{at}.png")
        Image.fromarray(ids).save(folder / "masks" / f"{at}.png")
    return folder


def test_another_number_of_classes_keeps_all_but_the_last_layer(tmp_path, capsys):
    trainer.start(RUN, tmp_path / "first", replace(QUIET, steps=2))
    data = PictureFolder(root=str(pictures(tmp_path / "six", 6)))
    run = replace(RUN, data=data, initial=str(tmp_path / "first"), train=replace(RUN.train, learning_rate=1e-30))
    trainer.start(run, tmp_path / "second", replace(QUIET, steps=1, quiet=False))
    said = capsys.readouterr().err
    assert "not taken over, and new: classifier" in said
    before, after = (safetensors.torch.load_file(tmp_path / n / "model.safetensors") for n in ("first", "second"))
    assert before.keys() == after.keys()
    learnt = {name for name in before if "running" not in name and "num_batches" not in name}
    same = {
        name for name in learnt if before[name].shape == after[name].shape and torch.equal(before[name], after[name])
    }
    assert learnt - same == set(SegmentationModel.from_pretrained(tmp_path / "second").network.last_layers)


def test_a_network_that_bfloat16_would_spoil_is_trained_in_float32(tmp_path, capsys):
    """oneDNN's weight gradient of a dilated convolution reads memory that nobody wrote, at 20, 24 or 40 channels."""
    narrow = PoolFree(stem_stride=4, width=12, rates=(2,), image_pooling=False)
    run = replace(RUN, network=narrow, train=replace(RUN.train, precision="bfloat16"))
    trainer.start(run, tmp_path / "run", replace(QUIET, steps=2, quiet=False))
    assert "multiples of 16" in capsys.readouterr().err
    assert checkpoint.training_state(tmp_path / "run")["precision"] == "float32"


def test_pictures_without_labels_to_validate_on_stop_nothing(tmp_path):
    data = pictures(tmp_path / "six", 3)
    void = pictures(tmp_path / "void", 3)
    for path in (void / "masks").iterdir():
        with Image.open(path) as mask:
            nothing = np.full_like(np.array(mask), 255)
        Image.fromarray(nothing).save(path)
    run = replace(RUN, data=PictureFolder(root=str(data), held=str(void)), train=replace(RUN.train, previews=2))
    outcome = trainer.start(run, tmp_path / "run", replace(QUIET, steps=3, quiet=False))
    assert outcome.step == 3
    assert outcome.mean_iou is None


def test_classes_that_changed_are_not_trained_on(tmp_path):
    folder = pictures(tmp_path / "data", 3)
    table = tmp_path / "classes.csv"
    table.write_text("name,red,green,blue\nsky,0,0,255\nroad,9,9,9\ncar,200,0,0\n")
    data = PictureFolder(root=str(folder), classes=str(table))
    trainer.start(replace(RUN, data=data), tmp_path / "run", replace(QUIET, steps=2))
    table.write_text("name,red,green,blue\nroad,9,9,9\nsky,0,0,255\ncar,200,0,0\n")
    with pytest.raises(InputError, match=r"learnt sky, road, car; its data now have road, sky, car"):
        trainer.resume(tmp_path / "run", replace(QUIET, steps=3))


def test_nothing_to_validate_on_is_one_line(tmp_path):
    data = PictureFolder(root=str(pictures(tmp_path / "one", 3, count=1)))
    with pytest.raises(InputError, match="validate"):
        trainer.start(replace(RUN, data=data), tmp_path / "run", replace(QUIET, steps=1))
    assert not (tmp_path / "run").exists()
