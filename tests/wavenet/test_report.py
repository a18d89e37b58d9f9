"""The report tells what the folder tells and lets it be heard: of a run that is done, or not, and of a saved model."""

import base64
import io
import json
import re
import shutil
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
from PIL import Image

from shared.config import to_json
from shared.errors import InputError
from shared.training import checkpoint
from tests.browser import Browser
from tests.melodies import write_melodies
from tests.wavenet.command_line import TINY, one_line_error
from tests.wavenet.networks import small_network
from wavenet import audio, figures, wav
from wavenet.cli import main, parser
from wavenet.commands.train import configured, source_of
from wavenet.conditioning import Labels
from wavenet.data import Plucks, Recordings, TorchaudioSet
from wavenet.data.plucks import melody
from wavenet.distributions import Categorical, Gaussian, LogisticMixture
from wavenet.mel import Mel
from wavenet.model import PRESETS, preset
from wavenet.report import report
from wavenet.reproducing import command
from wavenet.run import Run, TrainConfig

HOSTILE = "<script>alert('1')</script>"


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "my <run>")


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    """Recordings of two speakers, and a run on them."""
    names = [f"{at}_{('ann', '<b>')[at % 2]}" for at in range(8)]
    folder = write_melodies(tmp_path_factory.mktemp("voices"), names, 0.3)
    run = tmp_path_factory.mktemp("runs") / "voices"
    settings = ["--set", "train.validation=0.5", "--steps", "2", "--threads", "1", "-q", *TINY]
    assert main(["train", str(folder), "--speakers", "name:2", "-o", str(run), *settings]) == 0
    return run


def words(page):
    text = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page.html(), flags=re.DOTALL)
    return " ".join(unescape(text).split())


def waves(page, folder):
    """What the page's players play, in order."""
    found = []
    for at, content in enumerate(re.findall(r'src="data:audio/wav;base64,([^"]*)"', page.html())):
        (folder / f"heard {at}.wav").write_bytes(base64.b64decode(content))
        found.append(audio.read(folder / f"heard {at}.wav"))
    return found


def pictures(page):
    """What the page shows, in order."""
    found = [base64.b64decode(each) for each in re.findall(r'src="data:image/png;base64,([^"]*)"', page.html())]
    for each in found:
        with Image.open(io.BytesIO(each)) as image:
            image.load()
    return found


def test_a_finished_run_is_told_whole_and_heard(copy, recordings, tmp_path):
    page = report(copy, seconds=0.1, clips=2)
    text = words(page)
    bits = json.loads((copy / "metrics.jsonl").read_text().splitlines()[-1])["validation_bits"]
    assert text.startswith("my <run> my <run> A WaveNet, told nothing but its own past; trained for 3 steps.")
    for part in (f"bits per sample {bits:.3f}", "linear predictor ", "order-0 entropy ", "steps 3 training time"):
        assert part in text
    for part in ("receptive field 16 samples, 1 ms", "layers 4", "source Recordings", f"path {recordings}"):
        assert part in text
    real, made, preview = waves(page, tmp_path)  # one file of four is held back
    held = next(path for path in sorted(recordings.iterdir()) if f"recording · {path.name}" in text)
    assert np.array_equal(real, audio.read(held, 0, 1600))
    assert len(made) == 1600
    assert np.array_equal(preview, audio.read(copy / "previews" / "step-000003.wav"))
    assert len(pictures(page)) == 5  # the curve, three spectrograms, the dilations
    assert not re.search(r"https?://", page.html())


def test_the_same_run_makes_the_same_page(copy):
    assert report(copy, seconds=0.05).html() == report(copy, seconds=0.05).html()


def test_without_clips_neither_model_nor_data_are_touched(copy, tmp_path):
    (copy / "model.safetensors").write_bytes(b"")
    config = checkpoint.load_config(copy)
    config["data"]["path"] = str(tmp_path / "gone")
    checkpoint.save_config(copy, config)
    page = report(copy, clips=0)
    assert len(waves(page, tmp_path)) == 1
    assert "How it sounds" not in words(page)


def test_data_that_are_gone_are_said_to_be_and_the_model_is_heard_all_the_same(copy, tmp_path):
    config = checkpoint.load_config(copy)
    config["data"]["path"] = str(tmp_path / "gone")
    checkpoint.save_config(copy, config)
    page = report(copy, clips=2, seconds=0.05)
    assert re.search(r"the run's data cannot be read now \([^)]*gone", words(page))
    assert [len(wave) for wave in waves(page, tmp_path)][:2] == [800, 800]


def test_data_that_have_changed_are_said_to_have(run, recordings, tmp_path):
    other, folder = shutil.copytree(recordings, tmp_path / "other"), shutil.copytree(run, tmp_path / "run")
    with wav.WavWriter(other / "new.wav") as file:
        file.write(melody(0.5, np.random.default_rng(9)))
    config = checkpoint.load_config(folder)
    config["data"]["path"] = str(other)
    checkpoint.save_config(folder, config)
    assert "The data are not what they were" in words(report(folder, clips=1, seconds=0.05))


def test_a_run_that_is_not_done_is_told_as_far_as_it_is(copy, tmp_path):
    for name in ("curve.png", "model.safetensors"):
        (copy / name).unlink()
    (copy / "previews" / "step-000020.wav").write_bytes(b"RIFF cut off")
    page = report(copy, clips=1)
    assert len(pictures(page)) == 3  # the curve, drawn from the diary, a whole preview, the dilations
    assert "there is no model.safetensors yet" in words(page)
    for path in (copy / "resume.safetensors", copy / "metrics.jsonl"):
        path.unlink()
    shutil.rmtree(copy / "previews")
    page = report(copy, clips=0)
    assert "The network" in words(page)
    assert waves(page, tmp_path) == []


def test_every_speaker_is_heard_beside_a_recording_and_has_bits(voices, tmp_path):
    page = report(voices, seconds=0.05)
    text, found = words(page), waves(page, tmp_path)
    assert "of 2 voices: <b>, ann" in text
    assert len(found) == 2 * 2 + 1
    for name in ("ann", "<b>"):
        assert re.search(rf"{name} recording · \d_{name}\.wav · 0\.05 s generated · seed \d · 0\.05 s", text)
        assert re.search(rf"{name} \d \d\.\d\d\d", text)
    assert "<b>" not in page.html()


def test_a_vocoder_is_heard_between_recording_and_griffin_lim(recordings, tmp_path):
    small = ["--set", "model.frames.channels=8", "--set", "model.frames.n_fft=512", "--set", "model.frames.width=8"]
    arguments = ["--mel", "-o", str(tmp_path / "vocoder"), "--steps", "2", "--threads", "1", "-q", *small, *TINY]
    assert main(["train", str(recordings), *arguments]) == 0
    page = report(tmp_path / "vocoder", clips=1, seconds=0.3)
    text, found = words(page), waves(page, tmp_path)
    assert "A vocoder. It makes sound of mel spectrograms; trained for 2 steps." in text
    assert [len(wave) for wave in found[:3]] == [4800] * 3
    assert re.search(r"recording · 0\.30 s copy · 0\.30 s Griffin-Lim · 0\.30 s", text)
    assert re.search(r"copies by LSD dB ↓.* model \d+\.\d\d .* Griffin-Lim \d+\.\d\d ", text)
    assert "8 mel bands every 200 samples, 12.5 ms" in text


def test_a_saved_model_has_a_page_too(tmp_path):
    small_network(labels=Labels(names=(HOSTILE, "<b>&amp;"))).save_pretrained(tmp_path / "saved")
    page = report(tmp_path / "saved", seconds=0.02)
    assert f"{HOSTILE}, <b>&amp;" in words(page)
    assert f"{HOSTILE} · generated, seed 0 · 0.02 s" in words(page)
    assert HOSTILE not in page.html()
    assert [len(wave) for wave in waves(page, tmp_path)] == [320, 320]
    assert "Settings" not in words(page)


def test_pictures_on_one_scale_differ_by_loudness_alone():
    wave = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    loud = float(figures.power(wave).max())
    drawn = [figures.spectrogram_png(part, seconds=1.0, loudest=loud) for part in (wave, 0.1 * wave, 0.1 * wave)]
    with Image.open(io.BytesIO(drawn[0])) as one, Image.open(io.BytesIO(drawn[1])) as other:
        assert one.size == other.size
        assert np.asarray(one.convert("L")).mean() > np.asarray(other.convert("L")).mean()
    assert drawn[1] == drawn[2]


def test_the_command_writes_it_renews_its_own_and_spares_others(copy, tmp_path, capsys):
    for _ in range(2):
        assert main(["report", str(copy), "--clips", "0"]) == 0
        out, err = capsys.readouterr()
        assert out == f"{copy / 'report.html'}\n"
        assert re.search(r"\d\.\d MB", err)
    other = tmp_path / "other.html"
    assert main(["report", str(copy), "-o", str(other), "--clips", "0", "-q"]) == 0
    assert other.read_bytes() == (copy / "report.html").read_bytes()
    capsys.readouterr()
    assert "exists already" in one_line_error(capsys, ["report", str(copy), "-o", str(other)])
    assert main(["report", str(copy), "-o", str(other), "--clips", "0", "--force", "-q"]) == 0
    capsys.readouterr()
    assert "a page has room for" in one_line_error(capsys, ["report", str(copy), "--clips", "1000"])
    assert "a clip on a page lasts" in one_line_error(capsys, ["report", str(copy), "--seconds", "1e6"])
    assert "no such folder" in one_line_error(capsys, ["report", str(tmp_path / "nothing")])


TRAINED = TrainConfig(seed=7, batch=8, learning_rate=0.004)
RUNS = [
    Run(data=Recordings(path="/my data"), train=TRAINED),
    Run(data=Recordings(path="/x", trim=40.0, level=-23.0), model=PRESETS["base"], speakers="name:2"),
    Run(data=Recordings(path="/x"), model=preset("tiny", frames=Mel(hop=160), kernel_size=3)),
    Run(data=TorchaudioSet(name="YESNO", root="/x y"), model=preset("small", output=Gaussian(mixtures=10))),
    Run(data=Recordings(path="/x"), model=preset("small", output=LogisticMixture(mixtures=4), dilations=(1, 2, 4))),
    Run(data=Recordings(path="/x"), model=preset("large", output=Categorical(classes=64)), speakers="folder"),
]


@pytest.mark.parametrize("chosen", RUNS, ids=lambda each: type(each.model.output).__name__)
def test_the_command_that_it_states_makes_the_same_run(chosen):
    said = command(chosen, {"budget": {"steps": 300, "seconds": None}})
    arguments = parser().parse_args(said[1:])
    assert arguments.steps == 300
    data = source_of(arguments.data, arguments.root, arguments.trim, arguments.level)
    assert to_json(configured(arguments, Run(data=data))) == to_json(chosen)


def test_labels_follow_from_the_data_and_a_demo_is_made_by_demo():
    known = preset("small", labels=Labels(names=("a", "b")))
    assert command(Run(data=Recordings(path="/x"), model=known, speakers="name"), None) == [
        *("wavenet", "train", "/x", "--speakers", "name"),
    ]
    assert command(Run(data=Plucks(seed=3)), None) is None
    from wavenet.commands.demo import MODEL, TRAIN

    made = Run(data=Plucks(seed=3), model=MODEL, train=replace(TRAIN, seed=3))
    assert command(made, {"budget": {"steps": None, "seconds": 120.0}}) == [
        *("wavenet", "demo", "--seed", "3", "--minutes", "2"),
    ]


def test_in_a_browser_it_fits_a_phone_plays_and_asks_for_nothing(copy, tmp_path):
    report(copy, clips=1, seconds=0.2).write(tmp_path / "page.html")
    with Browser(seconds=30) as browser:
        browser.look(390, 800)
        browser.open((tmp_path / "page.html").as_uri())
        assert browser.value("document.documentElement.scrollWidth") == 390
        browser.wait("Math.abs(document.querySelectorAll('audio')[1].duration - 0.2) < 0.01")
        assert browser.value("document.querySelector('details').open") is False
        assert browser.complaints() == []
        assert {url.partition(":")[0] for url in browser.requests()} == {"file", "data"}


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no model"):
        report(tmp_path)
