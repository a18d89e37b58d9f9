"""A model for others: a folder with a card, which huggingface_hub's mixin reads and writes as well."""

import json

import pytest
import torch

from shared.errors import InputError
from shared.training import checkpoint
from tests.wavenet.command_line import TINY, one_line_error
from tests.wavenet.networks import small_network
from wavenet import hub
from wavenet.card import CARD, Training, card
from wavenet.cli import main
from wavenet.conditioning import Condition, Frames, Labels
from wavenet.distributions import Categorical, Gaussian, LogisticMixture
from wavenet.mel import Mel
from wavenet.model import WaveNet, WaveNetConfig
from wavenet.weights import layout

FILES = {checkpoint.CONFIG, checkpoint.MODEL, CARD}
ODD = "a|b\n# <b>`"  # a name that would be markup


@pytest.fixture(scope="module")
def run(recordings, tmp_path_factory):
    """A run without previews, which would wait for the compiled engine."""
    folder = tmp_path_factory.mktemp("runs") / "mine"
    settings = [*TINY, "--set", "train.previews=0"]
    assert main(["train", str(recordings), "-o", str(folder), "--steps", "3", "--threads", "1", "-q", *settings]) == 0
    return folder


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def head_of(text):
    opening, head, _ = text.split("---\n", 2)
    assert opening == ""
    return head


def same_answers(one, other):
    wave = torch.rand(2, 40) * 2 - 1
    told = Condition(torch.tensor([0, 1])) if one.config.labels else None
    with torch.inference_mode():
        return torch.equal(one(wave, told), other(wave, told))


def test_an_exported_run_is_the_run_s_model_and_a_card(run, tmp_path, capsys):
    out = tmp_path / "voice"
    assert main(["export", str(run), "-o", str(out), "--license", "cc-by-4.0"]) == 0
    assert set(files(out)) == FILES
    assert "hf upload USER/voice" in capsys.readouterr().out
    assert same_answers(WaveNet.from_pretrained(run), WaveNet.from_pretrained(out))
    assert json.loads((out / checkpoint.CONFIG).read_text()).keys() == {"format", "model", "seal"}
    assert (out / checkpoint.MODEL).read_bytes() == (run / checkpoint.MODEL).read_bytes()


def test_a_card_says_how_good_the_model_is_and_what_that_is_worth(run, tmp_path):
    assert main(["export", str(run), "-o", str(tmp_path / "voice"), "--license", "mit"]) == 0
    text = (tmp_path / "voice" / CARD).read_text(encoding="utf-8")
    training = Training.of(run)
    assert training.steps == 3
    for said in (training.bits, training.yardsticks.order_0, training.yardsticks.linear_32):
        assert f"{said:.3f}" in text
    model = WaveNet.from_pretrained(run)
    for said in (
        f"{model.receptive_field} samples", "16,000 Hz", "wavenet generate voice", 'from_pretrained("voice")',
        *(weight.name for weight in layout(model.config) if not weight.name.startswith("blocks.")),
    ):  # fmt: skip
        assert said in text, said
    assert 'license: "mit"' in head_of(text)


def test_a_card_names_the_data_but_not_where_they_lie(run, recordings, tmp_path):
    assert main(["export", str(run), "-o", str(tmp_path / "voice")]) == 0
    for path in (tmp_path / "voice").iterdir():
        content = path.read_bytes()
        assert str(recordings.parent).encode() not in content
        assert str(tmp_path).encode() not in content
    assert recordings.name in (tmp_path / "voice" / CARD).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ["wavenet generate"]),
        ({"output": Gaussian(mixtures=2)}, ["Gaussian", "log scales"]),
        ({"labels": Labels(names=("george", ODD))}, ["--speaker NAME", 'speaker="george"', "voices"]),
        ({"frames": Mel()}, ["wavenet vocode", "80 mel bands", "frames.of(wave)"]),
        ({"frames": Frames(channels=7)}, ["features.npy", "[7, f]"]),
    ],
    ids=["plain", "mixture", "labels", "mel", "features"],
)
def test_a_card_tells_how_to_use_the_model_that_it_lies_beside(changes, said):
    text = card(small_network(**changes), "voice")
    for each in said:
        assert each in text
    assert ODD not in text


def test_the_python_on_a_card_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_network(labels=Labels(names=("george", "lucas"))).save_pretrained("voice")
    code = (tmp_path / "voice" / CARD).read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    shorter = code.replace("seconds=2", 'seconds=0.01, engine="cached"')
    assert shorter != code
    exec(compile(shorter, CARD, "exec"), {})
    assert (tmp_path / "sound.wav").stat().st_size == 44 + 2 * 160


def test_saving_writes_a_card_but_not_over_one(tmp_path):
    model = small_network()
    model.save_pretrained(tmp_path)
    assert set(files(tmp_path)) == FILES
    (tmp_path / CARD).write_text("my own words")
    model.save_pretrained(tmp_path)
    assert (tmp_path / CARD).read_text() == "my own words"
    model.save_pretrained(tmp_path, card="others")
    assert (tmp_path / CARD).read_text() == "others"


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "--force"])
def test_export_writes_over_nothing_but_an_exported_model(run, tmp_path, capsys, force):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    file = tmp_path / "file"
    file.write_text("dear")
    for target in (mine, run, file):
        before = files(target) if target.is_dir() else target.read_bytes()
        line = one_line_error(capsys, ["export", str(run), "-o", str(target), *force])
        assert str(target) in line
        assert before == (files(target) if target.is_dir() else target.read_bytes())
    assert not list(tmp_path.glob(".*"))


def test_an_exported_model_is_renewed_with_force_only(run, tmp_path, capsys):
    out = tmp_path / "voice"
    small_network().save_pretrained(out)
    (out / "sample.wav").write_bytes(b"kept")
    assert "--force" in one_line_error(capsys, ["export", str(run), "-o", str(out)])
    assert main(["export", str(run), "-o", str(out), "--force"]) == 0
    assert WaveNet.from_pretrained(out).config == WaveNet.from_pretrained(run).config
    assert (out / "sample.wav").read_bytes() == b"kept"


def test_an_export_that_fails_leaves_nothing(run, tmp_path, capsys):
    assert "--license" in one_line_error(capsys, ["export", str(run), "-o", str(tmp_path / "a"), "--license", "My Own"])
    assert "folder" in one_line_error(capsys, ["export", str(tmp_path / "none"), "-o", str(tmp_path / "a")])
    (tmp_path / "file").write_text("")
    one_line_error(capsys, ["export", str(run), "-o", str(tmp_path / "file" / "a")])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_training_run_is_not_written_over(run):
    before = files(run)
    with pytest.raises(InputError, match=r"training run.*another folder"):
        WaveNet.from_pretrained(run).save_pretrained(run)
    assert {name: before[name] for name in FILES - {CARD}} == {name: files(run)[name] for name in FILES - {CARD}}


def test_loading_leaves_the_callers_random_numbers_alone(tmp_path):
    small_network().save_pretrained(tmp_path)
    before = torch.get_rng_state()
    WaveNet.from_pretrained(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_name_on_the_hub_is_told_how_to_come_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"hf download ada/voice --local-dir voice$"):
        WaveNet.from_pretrained("ada/voice")
    (tmp_path / "runs").mkdir()
    for mistyped in ("runs/mien", "mien", "/nowhere/at/all"):
        with pytest.raises(InputError, match="no such folder") as caught:
            WaveNet.from_pretrained(mistyped)
        assert "Hub" not in str(caught.value)


def test_without_huggingface_hub_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    hub._hub_wavenet.cache_clear()
    with pytest.raises(InputError, match=r"pip install 'atrous\[hub\]'"):
        _ = hub.HubWaveNet
    with pytest.raises(AttributeError, match="Anything"):
        _ = hub.Anything


SHAPES = pytest.mark.parametrize(
    "changes",
    [
        {},
        {"output": LogisticMixture(mixtures=2)},
        {"labels": Labels(names=("a", "b")), "output": Categorical(classes=9)},
    ],
    ids=["plain", "mixture", "labels"],
)


@pytest.fixture
def mixin():
    """huggingface_hub, which tests of the mixin need; all of them work on folders, offline."""
    return pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed: pip install 'atrous[hub]'")


@SHAPES
def test_the_mixin_reads_our_folder_and_we_read_the_mixin_s(mixin, tmp_path, changes, capsys):
    ours = small_network(**changes)
    ours.save_pretrained(tmp_path / "ours")
    theirs = hub.HubWaveNet.from_pretrained(tmp_path / "ours")
    assert isinstance(theirs, WaveNet)
    assert isinstance(theirs, mixin.PyTorchModelHubMixin)
    assert not theirs.training
    assert theirs.config == ours.config
    assert same_answers(ours, theirs)
    theirs.save_pretrained(tmp_path / "theirs")
    again = WaveNet.from_pretrained(tmp_path / "theirs")
    assert again.config == ours.config
    assert same_answers(ours, again)
    for name in (checkpoint.CONFIG, checkpoint.MODEL):
        assert files(tmp_path / "theirs")[name] == files(tmp_path / "ours")[name]
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("mixin")
def test_a_new_model_is_saved_by_the_mixin_as_by_us(tmp_path):
    config = WaveNetConfig(dilations=(1, 2), residual_channels=4, gate_channels=4, skip_channels=4, output=Gaussian())
    model = hub.HubWaveNet(config)
    model.save_pretrained(tmp_path)
    assert same_answers(WaveNet.from_pretrained(tmp_path), model)
    assert hub.HubWaveNet().config == WaveNetConfig()


@pytest.mark.usefixtures("mixin")
def test_the_mixin_reads_the_folder_of_a_run(run):
    assert same_answers(hub.HubWaveNet.from_pretrained(run), WaveNet.from_pretrained(run))


def test_a_class_of_one_s_own_with_the_mixin_s_methods_behind_ours_reads_it_too(mixin, tmp_path):
    class Mine(WaveNet, mixin.PyTorchModelHubMixin):
        pass

    small_network().save_pretrained(tmp_path / "ours")
    mine = Mine.from_pretrained(tmp_path / "ours")
    assert isinstance(mine, Mine)
    mine.save_pretrained(tmp_path / "mine")
    assert same_answers(WaveNet.from_pretrained(tmp_path / "mine"), hub.HubWaveNet.from_pretrained(tmp_path / "ours"))


@pytest.mark.usefixtures("mixin")
def test_weights_that_do_not_fit_are_refused_by_the_mixin_as_by_us(tmp_path):
    small_network().save_pretrained(tmp_path)
    checkpoint.save_weights(tmp_path, small_network(skip_channels=11))
    with pytest.raises(InputError, match="not this model's"):
        hub.HubWaveNet.from_pretrained(tmp_path)


@pytest.mark.usefixtures("mixin")
def test_a_model_of_the_hub_comes_from_its_cache(tmp_path):
    ours = small_network()
    repository, commit = tmp_path / "models--ada--voice", "0" * 40
    ours.save_pretrained(repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    theirs = hub.HubWaveNet.from_pretrained("ada/voice", cache_dir=tmp_path, local_files_only=True)
    assert same_answers(ours, theirs)


@pytest.mark.parametrize("changes", [{}, {"frames": Mel()}, {"labels": Labels(names=(ODD, "b"))}], ids=str)
def test_the_hub_reads_the_head_of_our_card(mixin, changes):
    data = mixin.ModelCard(card(small_network(**changes), ODD, licence="mit")).data
    assert data.library_name == "atrous"
    assert data.pipeline_tag == "audio-to-audio"
    assert data.license == "mit"
    assert data.tags == ["wavenet", "audio-generation"]
    assert "license" not in mixin.ModelCard(card(small_network(**changes), ODD)).data.to_dict()
