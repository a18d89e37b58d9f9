"""The command line as a person meets it: results on stdout, talk on stderr, errors in one line."""

import io
import json
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from segmentation.cli import main
from segmentation.images import read_image
from segmentation.networks import DeepLabV3
from segmentation.palette import VOC
from shared.training.checkpoint import training_state
from tests import command_line
from tests.segmentation.conftest import TINY

one_line_error = partial(command_line.one_line_error, main)


def test_check_train_resume_evaluate_predict_info(pictures, tmp_path, capsys):
    folder, out = tmp_path / "run", tmp_path / "out"
    assert main(["check", str(pictures), "--sheet", str(tmp_path / "sheet.png"), "-q"]) == 0
    assert capsys.readouterr().out.startswith("12 pairs of picture and mask")
    assert read_image(tmp_path / "sheet.png").pixels.shape[1] > 100
    assert main(["train", str(pictures), "-o", str(folder), "--steps", "3", "--threads", "1", *TINY]) == 0
    captured = capsys.readouterr()
    assert "next: segmentation predict" in captured.out
    assert "4 classes" in captured.err
    assert main(["train", "--resume", str(folder), "--steps", "5", "-q"]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(folder), str(pictures), "--json", "-q", "-o", str(tmp_path / "scores")]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["images"] == 12
    assert {path.name for path in (tmp_path / "scores").iterdir()} == {"metrics.json", "confusion.png", "worst.png"}
    picture = str(pictures / "images" / "3.png")
    assert main(["predict", str(folder), picture, "-o", f"{out}/", "--overlay", "--side-by-side", "-q"]) == 0
    assert capsys.readouterr().out.strip() == str(out / "3.png")
    with Image.open(out / "3.png") as mask:
        ids = np.array(mask)
        assert mask.mode == "P"
    assert ids.shape == read_image(out / "3_overlay.png").pixels.shape[:2] == (40, 56)
    assert int(ids.max()) <= 3
    assert main(["info", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"]["step"] == 5


def test_the_same_picture_gives_the_same_mask_by_every_way_in(run, pictures, tmp_path, monkeypatch):
    picture = pictures / "images" / "0.png"
    assert main(["predict", str(run), str(picture), "-o", str(tmp_path / "a.png"), "-q"]) == 0
    assert main(["predict", str(run), str(pictures / "images"), "-o", str(tmp_path / "all"), "-q"]) == 0
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(picture.read_bytes())))
    assert main(["predict", str(run), "-", "-o", str(tmp_path / "c.png"), "-q"]) == 0
    files = [tmp_path / "a.png", tmp_path / "all" / "0.png", tmp_path / "c.png"]
    assert len({path.read_bytes() for path in files}) == 1
    assert len(list((tmp_path / "all").iterdir())) == 12


def test_a_bad_picture_among_good_ones_is_named_and_the_rest_is_done(run, pictures, tmp_path, capsys):
    (tmp_path / "bad.jpg").write_text("no picture")
    good = [str(pictures / "images" / f"{at}.png") for at in (1, 2)]
    argv = ["predict", str(run), good[0], str(tmp_path / "bad.jpg"), good[1], "-o", str(tmp_path / "out"), "-q"]
    assert main(argv) == 1
    captured = capsys.readouterr()
    assert captured.out.split() == [str(tmp_path / "out" / f"{at}.png") for at in (1, 2)]
    assert captured.err.count("\n") == 1
    assert "bad.jpg" in captured.err
    assert "bad.jpg" in one_line_error(capsys, ["predict", str(run), str(tmp_path / "bad.jpg"), "-o", "x.png"])


def test_nothing_is_written_over_unless_forced(run, pictures, tmp_path, capsys):
    argv = ["predict", str(run), str(pictures / "images" / "0.png"), "-o", str(tmp_path / "a.png"), "-q"]
    assert main(argv) == 0
    capsys.readouterr()
    assert "--force" in one_line_error(capsys, argv)
    assert main([*argv, "--force"]) == 0
    capsys.readouterr()
    train = ["train", str(pictures), "-o", str(run), "--steps", "1", *TINY]
    assert "--overwrite" in one_line_error(capsys, train)


def test_published_weights_become_a_model_that_predicts(pictures, tmp_path, capsys):
    torch.manual_seed(0)
    network = DeepLabV3(depth=50, auxiliary=True).build(21)
    torch.save({"model": network.state_dict()}, tmp_path / "deeplab.pth")
    assert main(["import", str(tmp_path / "deeplab.pth"), "-o", str(tmp_path / "voc")]) == 0
    assert VOC.names[1] in capsys.readouterr().out
    picture = str(pictures / "images" / "0.png")
    assert main(["predict", str(tmp_path / "voc"), picture, "-o", str(tmp_path / "m.png"), "-q"]) == 0
    capsys.readouterr()
    assert "is there already" in one_line_error(
        capsys, ["import", str(tmp_path / "deeplab.pth"), "-o", str(tmp_path / "voc")]
    )


def test_fine_tuning_takes_the_network_along(run, pictures, tmp_path, capsys):
    argv = ["train", str(pictures), "--from", str(run), "-o", str(tmp_path / "more"), "--steps", "1", "--threads", "1"]
    assert main([*argv, "--set", "train.evaluations=1", "--set", "train.previews=0", "--crop", "32", "32"]) == 0
    assert "starting from the weights" in capsys.readouterr().err
    assert "leave out --preset" in one_line_error(capsys, [*argv, "--preset", "fast"])


def test_a_set_that_brings_its_own_held_back_list_is_scored_on_that(run, pictures, tmp_path, capsys):
    """Pascal VOC's layout: trained on one list, scored on the other."""
    for name, kind in (("JPEGImages", "images"), ("SegmentationClass", "masks")):
        (tmp_path / name).mkdir()
        for path in (pictures / kind).iterdir():
            ending = ".jpg" if kind == "images" else ".png"
            with Image.open(path) as image:
                image.save(tmp_path / name / f"{path.stem}{ending}")
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("".join(f"{at}\n" for at in range(9)))
    (lists / "val.txt").write_text("9\n10\n11\n")
    table = tmp_path / "classes.csv"
    table.write_text("name,red,green,blue\na,0,0,0\nb,255,0,0\nc,0,255,0\nd,0,0,255\n")
    capsys.readouterr()
    assert main(["evaluate", str(run), str(tmp_path), "--classes", str(table), "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 3


def test_the_demo_makes_pictures_masks_and_a_page(tmp_path, capsys):
    out = tmp_path / "demo"
    assert main(["demo", "-o", str(out), "--steps", "2", "--threads", "1", "-q"]) == 0
    printed = capsys.readouterr().out
    assert "mean IoU" in printed
    assert "next: segmentation check" in printed
    for name in ("shapes-0.png", "shapes-0-mask.png", "shapes-0-overlay.png", "worst.png", "report.html", "curve.png"):
        assert (out / name).stat().st_size > 300
    assert read_image(out / "shapes-0-mask.png").pixels.shape == read_image(out / "shapes-0.png").pixels.shape


def test_bench_compares_forms_of_one_network(run, capsys):
    assert main(["bench", str(run), "--size", "40", "56", "--json", "-q"]) == 0
    plain, form, fast = json.loads(capsys.readouterr().out)
    assert plain["times_plain"] == 1
    assert plain["other_pixels"] == 0
    assert form["other_pixels"] <= 1e-3
    assert fast["form"] == "predict --fast"


@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_go_on(pictures, tmp_path):
    folder = tmp_path / "run"
    command = ["train", str(pictures), "-o", str(folder), "--steps", "100000", "--threads", "1", *TINY]
    with subprocess.Popen([sys.executable, "-m", "segmentation", *command], stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if (folder / "metrics.jsonl").exists() and (folder / "metrics.jsonl").read_text().count("\n") > 3:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"segmentation train --resume" in err
    reached = training_state(folder)["step"]
    assert main(["train", "--resume", str(folder), "--steps", str(reached + 2), "-q"]) == 0
    assert training_state(folder)["step"] == reached + 2


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["train"], "train on what"),
        (["train", "nowhere", "--steps", "1"], "nowhere"),
        (["train", "{pictures}", "--preset", "huge", "--steps", "1"], "deeplabv3_r50"),
        (["train", "{pictures}", "-o", "{tmp}/x"], "--steps or --minutes"),
        (["train", "{pictures}", "--steps", "1", "--set", "train.batchsize=3"], "did you mean"),
        (["train", "--resume", "{tmp}"], "config.json"),
        (["train", "--resume", "{run}", "--crop", "3", "3"], "--resume takes everything"),
        (["evaluate", "{tmp}/none", "{pictures}"], "none"),
        (["evaluate", "{run}", "{tmp}"], "images"),
        (["predict", "{run}", "{tmp}/nothing.jpg"], "nothing.jpg"),
        (["predict", "{run}", "{tmp}"], "no picture"),
        (["check", "{tmp}/none"], "none"),
        (["import", "{run}/config.json", "-o", "{tmp}/y"], "config.json"),
        (["bench", "{tmp}"], "config.json"),
        (["predict", "{run}"], "PICTURE"),
        (["predict", "{run}", "{pictures}/images/0.png", "-o", "{tmp}/m", "--scales", "1000"], "scales"),
        (["predict", "{run}", "{pictures}/images/0.png", "-o", "{tmp}/m", "--tile", "-1"], "tile"),
        (["evaluate", "{run}", "{pictures}", "-o", "{run}/config.json"], "config.json"),
        (["train", "{pictures}", "--class-weights", "log", "--set", "train.loss.type=Dice"], "Dice"),
        (["train", "--resume", "{run}", "--split", "file"], "--resume takes everything"),
        (["predikt"], "predict"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(argv, says, run, pictures, tmp_path, capsys):
    places = {"run": run, "pictures": pictures, "tmp": tmp_path}
    assert says in one_line_error(capsys, [each.format(**places) for each in argv])


def test_help_is_instant_and_every_command_has_it():
    begun = time.perf_counter()
    text = subprocess.run([sys.executable, "-m", "segmentation", "--help"], capture_output=True, text=True).stdout
    assert time.perf_counter() - begun < 2  # torch alone takes longer
    for name in ("demo", "check", "train", "evaluate", "predict", "import", "export", "bench", "info"):
        assert name in text
        with pytest.raises(SystemExit, match="0"):
            main([name, "--help"])
