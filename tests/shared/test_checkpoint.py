"""A checkpoint gives back every bit of a run, and one that does not fit is refused in one line."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from shared import sealed
from shared.errors import InputError
from shared.training.average import WeightAverage
from shared.training.checkpoint import (
    CONFIG,
    MODEL,
    PREVIOUS,
    RESUME,
    clear,
    faults,
    load_config,
    load_training,
    load_weights,
    resumable,
    save_config,
    save_model,
    save_training,
    save_weights,
    training_state,
)

OPTIMIZERS = {
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9),
}


@dataclass
class Run:
    model: nn.Module
    average: WeightAverage
    optimizer: torch.optim.Optimizer

    def steps(self, count: int) -> None:
        """Data come from the global random state, so two runs agree only if that was restored as well."""
        for _ in range(count):
            self.optimizer.zero_grad()
            self.model(torch.randn(8, 4)).square().sum().backward()
            self.optimizer.step()
            self.average.update(self.model)

    def tensors(self) -> dict[str, Tensor]:
        memory = self.optimizer.state_dict()["state"]
        return {
            **{f"model.{name}": value for name, value in self.model.state_dict().items()},
            **{f"average.{name}": value for name, value in self.average.weights.items()},
            **{f"optimizer.{at}.{name}": slot[name] for at, slot in memory.items() for name in slot},
            "random": torch.get_rng_state(),
        }


def fresh(optimizer: str = "adamw", seed: int = 0, width: int = 5) -> Run:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.Linear(width, 2))
    return Run(model, WeightAverage(model), OPTIMIZERS[optimizer](model.parameters()))


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        value.dtype == other[name].dtype and torch.equal(value, other[name]) for name, value in one.items()
    )


def saved(folder: Path, run: Run) -> Path:
    save_model(folder, {"model": {"width": 5}}, run.model)
    save_training(folder, run.model, run.average, run.optimizer, {"step": 7})
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = fresh()
    run.steps(3)
    return saved(tmp_path / "run", run)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_everything_comes_back_bit_for_bit_and_the_run_goes_on_as_if_never_stopped(
    tmp_path: Path, optimizer: str
) -> None:
    run = fresh(optimizer)
    run.steps(5)
    save_training(tmp_path, run.model, run.average, run.optimizer, {"step": 5, "best": 0.25})
    then = {name: value.clone() for name, value in run.tensors().items()}
    run.steps(4)

    resumed = fresh(optimizer, seed=1)
    resumed.steps(2)
    state = load_training(tmp_path, resumed.model, resumed.average, resumed.optimizer)
    assert state == {"step": 5, "best": 0.25}
    assert resumed.average.updates == 5
    assert same(resumed.tensors(), then)
    resumed.steps(4)
    assert same(resumed.tensors(), run.tensors())
    assert not same(resumed.tensors(), then)


def test_saving_changes_nothing_in_the_run(tmp_path: Path) -> None:
    run = fresh()
    run.steps(2)
    before = {name: value.clone() for name, value in run.tensors().items()}
    saved(tmp_path, run)
    assert same(run.tensors(), before)


def test_a_run_saved_before_its_first_step_resumes(tmp_path: Path) -> None:
    run = fresh()
    saved(tmp_path, run)
    then = {name: value.clone() for name, value in run.tensors().items()}
    resumed = fresh(seed=1)
    load_training(tmp_path, resumed.model, resumed.average, resumed.optimizer)
    assert same(resumed.tensors(), then)


def test_a_model_and_its_config_come_back(folder: Path) -> None:
    model = fresh(seed=1).model
    load_weights(folder, model)
    resumed = fresh(seed=2)
    load_training(folder, resumed.model, resumed.average, resumed.optimizer)
    assert same(model.state_dict(), resumed.model.state_dict())
    assert load_config(folder) == {"model": {"width": 5}}
    assert training_state(folder)["step"] == 7


def test_a_checkpoint_is_two_plain_files_and_one_to_resume(folder: Path) -> None:
    assert sorted(entry.name for entry in folder.iterdir()) == sorted([CONFIG, MODEL, RESUME])
    assert json.loads((folder / CONFIG).read_text()).keys() == {"format", "model", "seal"}
    assert safetensors.torch.load_file(folder / MODEL).keys() == fresh().model.state_dict().keys()


def test_loading_draws_no_random_numbers_and_keeps_parameters_trainable(folder: Path) -> None:
    model = fresh().model
    before = torch.get_rng_state()
    load_weights(folder, model)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.requires_grad for parameter in model.parameters())


def refused(message: str, load, *arguments: object) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load(*arguments)
    assert "\n" not in str(caught.value)


def resume(folder: Path, run: Run) -> None:
    load_training(folder, run.model, run.average, run.optimizer)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    refused("nowhere: no such folder", load_config, tmp_path / "nowhere")
    refused("holds no model, there is no config.json", load_config, tmp_path)
    (tmp_path / "file").write_text("x")
    refused("holds no model", load_config, tmp_path / "file")
    refused(r"model\.safetensors: no such file", load_weights, tmp_path, fresh().model)
    refused("nothing to resume", training_state, tmp_path)
    refused(r"resume\.safetensors: no such file", resume, tmp_path, fresh())


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[1]", b"{}", b'{"format": 3}', b'{"format": 2}', b"null"]
)
def test_a_config_that_is_damaged_or_from_elsewhere_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CONFIG).write_bytes(content)
    refused(r"config\.json: (cannot be read|not of this toolkit's format|not as it was written)", load_config, tmp_path)


def test_a_config_is_refused_if_its_format_is_of_another_version(tmp_path: Path) -> None:
    save_config(tmp_path, {"a": 1})
    (tmp_path / CONFIG).write_text((tmp_path / CONFIG).read_text().replace('"format": 2', '"format": 99'))
    refused("another version", load_config, tmp_path)


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 100, -1])
def test_truncated_files_are_refused_and_the_model_keeps_its_weights(folder: Path, keep: int) -> None:
    for name in (MODEL, RESUME):
        (folder / name).write_bytes((folder / name).read_bytes()[:keep])
    run = fresh(seed=1)
    before = {name: value.clone() for name, value in run.tensors().items()}
    refused(r"model\.safetensors: damaged or no safetensors file", load_weights, folder, run.model)
    refused(r"resume\.safetensors: damaged", resume, folder, run)
    refused(r"resume\.safetensors: damaged", training_state, folder)
    assert same(run.tensors(), before)


def test_a_pickle_under_the_name_of_a_checkpoint_is_refused_unread(folder: Path) -> None:
    torch.save(fresh().model.state_dict(), folder / MODEL)
    refused("damaged or no safetensors file", load_weights, folder, fresh().model)


def test_weights_of_another_shape_are_refused_and_named(folder: Path) -> None:
    wider = fresh(width=6)
    named = r"weights are not this model's \(first difference: [0-2]\.\w+\)"
    refused(named, load_weights, folder, wider.model)
    refused(r"resume\.safetensors: its " + named, resume, folder, wider)


def test_weights_under_other_names_are_refused_and_named(folder: Path) -> None:
    refused(r"not this model's \(first difference: ", load_weights, folder, nn.Linear(4, 5))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    broken = fresh()
    with torch.no_grad():
        broken.model[0].weight[0, 0] = value
    saved(tmp_path, broken)
    run = fresh(seed=1)
    refused("weights that are not finite", load_weights, tmp_path, run.model)
    refused("weights that are not finite", resume, tmp_path, run)
    assert torch.isfinite(run.model[0].weight).all()


def test_safetensors_from_elsewhere_are_refused(folder: Path) -> None:
    safetensors.torch.save_file({"weight": torch.zeros(3)}, folder / MODEL)
    safetensors.torch.save_file({"weight": torch.zeros(3)}, folder / RESUME)
    refused("not this model's", load_weights, folder, fresh().model)
    refused(r"resume\.safetensors: does not fit this run", resume, folder, fresh())
    refused(r"resume\.safetensors: damaged", training_state, folder)


def test_saving_weights_replaces_them_and_leaves_the_config(folder: Path) -> None:
    other = fresh(seed=3).model
    save_weights(folder, other)
    model = fresh(seed=4).model
    load_weights(folder, model)
    assert same(model.state_dict(), other.state_dict())
    assert load_config(folder) == {"model": {"width": 5}}


def test_a_config_that_was_changed_is_refused_unless_its_owner_says_so(tmp_path: Path) -> None:
    save_config(tmp_path, {"rate": 0.125, "names": ["zoë"]})
    assert load_config(tmp_path) == {"rate": 0.125, "names": ["zoë"]}
    values = json.loads((tmp_path / CONFIG).read_text())
    (tmp_path / CONFIG).write_text(json.dumps({**values, "rate": 0.25}))
    refused('not as it was written; .* set its "seal" to null', load_config, tmp_path)
    (tmp_path / CONFIG).write_text(json.dumps({**values, "rate": 0.25, "seal": None}))
    assert load_config(tmp_path)["rate"] == 0.25
    (tmp_path / CONFIG).write_text(json.dumps({"format": 2, "rate": 0.25}))
    refused("not as it was written", load_config, tmp_path)


def test_folders_from_before_there_were_seals_are_read(folder: Path) -> None:
    (folder / CONFIG).write_text(json.dumps({"format": 1, "model": {"width": 5}}))
    for name, metadata in ((MODEL, {"format": "pt"}), (RESUME, {"state": '{"step": 7, "updates": 3}'})):
        safetensors.torch.save_file(safetensors.torch.load_file(folder / name), folder / name, metadata)
    assert load_config(folder) == {"model": {"width": 5}}
    run = fresh(seed=1)
    load_weights(folder, run.model)
    resume(folder, run)
    assert training_state(folder) == {"step": 7}
    assert run.average.updates == 3


def test_the_same_checkpoint_is_the_same_bytes(tmp_path: Path) -> None:
    run = fresh()
    run.steps(2)
    one, other = (saved(tmp_path / name, run) for name in ("one", "other"))
    for path in one.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes()


def test_a_damaged_checkpoint_falls_back_to_the_one_before_and_the_user_is_told(folder: Path) -> None:
    run = fresh()
    load_training(folder, run.model, run.average, run.optimizer)
    before = {name: value.clone() for name, value in run.tensors().items()}
    run.steps(2)
    save_training(folder, run.model, run.average, run.optimizer, {"step": 9})
    assert faults(folder) == []
    for name in (RESUME, MODEL):
        content = bytearray((folder / name).read_bytes())
        content[-1] ^= 1
        (folder / name).write_bytes(content)
    other = fresh(seed=1)
    assert load_training(folder, other.model, other.average, other.optimizer)["step"] == 7
    assert same(other.tensors(), before)
    last, model = faults(folder)
    assert last == f"{folder / RESUME} is damaged: going on from the one before it, step 7"
    assert model == f"{folder / MODEL} is damaged: written anew"
    refused(r"model\.safetensors: damaged .*; train --resume .* writes it anew", load_weights, folder, other.model)
    (folder / PREVIOUS).unlink()
    refused(r"resume\.safetensors: damaged", resume, folder, other)


def test_clearing_leaves_nothing_to_fall_back_to(folder: Path) -> None:
    save_training(folder, *vars(fresh()).values(), {"step": 9})
    assert resumable(folder)
    clear(folder)
    assert list(folder.iterdir()) == []


def test_headers_and_counts_are_held_to_limits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fresh().model
    monkeypatch.setattr(sealed.TENSORS, "most", 8)
    refused("holds 9 tensors, over the limit of 8; .* --limit weights-tensors=9", load_weights, folder, model)
    length = 5 * 2**20
    (folder / MODEL).write_bytes(length.to_bytes(8, "little") + b"{" + b" " * length)
    refused("has a header of 5,242,880 bytes, over the limit", load_weights, folder, model)
