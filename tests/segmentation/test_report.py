"""The report tells what the folder tells: of a run that is done, of one that is not, of a saved model."""

import json
import re
import shutil
from dataclasses import replace
from html import unescape

import pytest

from segmentation.cli import main, parser
from segmentation.commands.train import configured
from segmentation.data import PairList, PictureFolder, VOCLayout
from segmentation.losses import CrossEntropy
from segmentation.model import ModelConfig, SegmentationModel
from segmentation.networks import PRESETS, DeepLabV3Plus, PoolFree
from segmentation.palette import numbered
from segmentation.report import _command, report
from segmentation.run import Run, TrainConfig
from segmentation.transforms import Augmentation
from shared.config import to_json
from shared.errors import InputError

TINY = DeepLabV3Plus(depth=18, width=8, channels=8)
QUICK = TrainConfig(batch=2, evaluations=1, previews=2, workers=0, augmentation=Augmentation(crop=(32, 48)))
HOSTILE = "<script>alert('1')</script>"


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "my <run>")


def words(page):
    text = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page.html(), flags=re.DOTALL)
    return " ".join(unescape(text).split())


def test_a_finished_run_is_told_whole(copy):
    previews = copy / "previews"
    (previews / "step-000020.png").write_bytes((previews / "step-000003.png").read_bytes())
    html = report(copy).html()
    text = words(report(copy))
    scores = json.loads((copy / "metrics.json").read_text())
    assert text.startswith("my <run> my <run> DeepLabV3Plus for 4 classes, trained for 3 steps.")
    assert f"{100 * scores['mean_iou']:.1f} % mean IoU" in re.sub(r"mean IoU (\S+ %)", r"\1 mean IoU", text)
    for each in scores["classes"]:
        iou = "–" if each["iou"] is None else f"{100 * each['iou']:.1f}"
        assert re.search(rf"{each['name']} {iou} ", text)
    parameters = sum(each.numel() for each in SegmentationModel.from_pretrained(copy).network.parameters())
    for part in (f"parameters {parameters:,}", "435 / 627 / 819 / 1011 pixels", "batch 2 8", "crop 32, 32 256, 256"):
        assert part in text
    assert html.count("<img") == 4  # curve, confusion matrix, two previews
    assert html.index("Step 3<") < html.index("Step 20<")
    assert not re.search(r"https?://", html)


def test_what_is_missing_is_left_out(copy):
    for name in ("metrics.json", "curve.png"):  # as while it goes on, or when it was stopped
        (copy / name).unlink()
    (copy / "previews" / "step-000020.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    text = words(report(copy))
    assert "trained for 3 steps so far: the run goes on, or was stopped" in text
    assert "Class by class" not in text
    assert report(copy).html().count("<img") == 2  # the curve, drawn from the diary, and the whole preview
    for path in (copy / "resume.safetensors", copy / "metrics.jsonl", copy / "model.safetensors"):
        path.unlink()
    shutil.rmtree(copy / "previews")
    text = words(report(copy))
    assert "The network" in text
    assert "What it was trained on" in text
    assert "<img" not in report(copy).html()


def test_a_saved_model_has_a_page_too(tmp_path):
    SegmentationModel(ModelConfig(network=TINY, classes=numbered(2, [HOSTILE, "<b>&amp;"]))).save_pretrained(tmp_path)
    html = report(tmp_path).html()
    assert f"{HOSTILE}, <b>&amp;" in words(report(tmp_path))
    assert HOSTILE not in html
    assert "Settings" not in html


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"confusion": [[1]], "pictures": []}', '{"confusion": "x"}', "\xff"])
def test_scores_that_are_not_scores_are_refused_in_one_line(copy, text):
    (copy / "metrics.json").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=r"^[^\n]*metrics.json: is no evaluation of this model [^\n]*$"):
        report(copy)


def test_the_command_writes_it_renews_its_own_and_spares_others(copy, tmp_path, capsys):
    for _ in range(2):
        assert main(["report", str(copy)]) == 0
        assert capsys.readouterr().out == f"{copy / 'report.html'}\n"
    other = tmp_path / "other.html"
    assert main(["report", str(copy), "-o", str(other)]) == 0
    assert other.read_bytes() == (copy / "report.html").read_bytes()
    assert main(["report", str(copy), "-o", str(other)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert main(["report", str(copy), "-o", str(other), "--force"]) == 0
    assert main(["report", str(tmp_path / "nothing")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


SETTINGS = replace(
    QUICK, seed=7, loss=CrossEntropy(weights="median"), augmentation=Augmentation(crop=(64, 96), scale=(1.0, 1.5))
)
RUNS = [
    Run(data=PictureFolder(root="/my data"), train=SETTINGS),
    Run(data=PictureFolder(root="/x", held="/y z", classes="/c.csv", split="prefix", masks="m"), network=TINY),
    Run(data=VOCLayout(root="/x", image_set="trainval", held="test"), network=PRESETS["deeplabv3_r50"]),
    Run(data=PairList(path="/x.txt", encoding="ids"), network=PoolFree(rates=(2, 4), image_pooling=False)),
]


@pytest.mark.parametrize("chosen", RUNS, ids=lambda each: type(each.data).__name__)
def test_the_command_that_it_states_makes_the_same_run(chosen, monkeypatch):
    made = type(chosen.data)

    def source(data, classes, encoding, held=None, split="file"):  # the real one looks at the disk
        if made is VOCLayout:
            return VOCLayout(root=data, classes=classes or "")
        where = {"path" if made is PairList else "root": data}
        return made(**where, held=held or "", classes=classes or "", encoding=encoding, split=split)

    monkeypatch.setattr("segmentation.commands.train.source_of", source)
    command = _command(chosen, {"budget": {"steps": 300, "seconds": None}})
    arguments = parser().parse_args(command[1:])
    assert arguments.steps == 300
    assert to_json(configured(arguments)) == to_json(chosen)


def test_weights_that_follow_from_the_data_are_not_part_of_the_command():
    loss = CrossEntropy(weights="median", class_weights=(1.0, 2.0))
    command = _command(Run(data=PictureFolder(root="/x"), train=replace(QUICK, loss=loss)), None)
    assert "train.loss.weights=median" in command
    assert "class_weights" not in command
