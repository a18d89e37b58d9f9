"""Checkpoints: ``config.json`` + ``model.safetensors`` are the model; ``resume.safetensors`` continues its run.

Each file is complete in itself and replaced in one step, so a kill leaves the old one or the new one; and each holds
a seal, by which damage is noticed. The last ``resume.safetensors`` but one goes on as ``previous.safetensors``, which
is used where the last one is damaged. No pickle anywhere: reading a checkpoint runs no code.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shared.errors import InputError
from shared.files import remove, write_file, write_keeping
from shared.limits import limit
from shared.sealed import SEAL, DamagedError, pack, read, seal_of
from shared.training.average import WeightAverage

FORMAT = 2
BEFORE_SEALS = 1
CONFIG, MODEL, RESUME, PREVIOUS = "config.json", "model.safetensors", "resume.safetensors", "previous.safetensors"
METADATA = {MODEL: {"format"}, RESUME: {"state"}, PREVIOUS: {"state"}}  # beside the seal

CONFIG_SIZE = limit("config-size", 4 * 2**20, "bytes", f"of a {CONFIG}")


def save_model(folder: Path, config: dict[str, Any], model: nn.Module) -> None:
    """Write ``config.json`` (the given values and the format number) and ``model.safetensors``.

    InputError where the folder is a training run's, which could not be resumed afterwards.
    """
    if resumable(folder):
        raise InputError(f"{folder}: holds a training run; save the model in another folder")
    save_config(folder, config)
    save_weights(folder, model)


def save_config(folder: Path, config: dict[str, Any]) -> None:
    """Write ``config.json``: the format number, the given values and their seal."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {"format": FORMAT, **config}
    write_file(folder / CONFIG, json.dumps({**values, SEAL: seal_of(values)}, indent=2) + "\n")


def save_weights(folder: Path, model: nn.Module) -> None:
    """Write ``model.safetensors``."""
    write_file(folder / MODEL, pack(model.state_dict(), {"format": "pt"}))


def load_config(folder: Path) -> dict[str, Any]:
    """The values of ``config.json``, without format number and seal."""
    path = folder / CONFIG
    if not folder.exists():
        raise InputError(f"{folder}: no such folder; a model is a folder with {CONFIG} and {MODEL}{_from_hub(folder)}")
    try:
        CONFIG_SIZE.hold(path, path.stat().st_size, "has {} bytes", "give the one of a training run")
        values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{folder}: holds no model, there is no {CONFIG}; training makes one") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read ({error}); it must be the {CONFIG} of a training run") from None
    if not isinstance(values, dict) or values.get("format") not in (BEFORE_SEALS, FORMAT):
        raise InputError(f"{path}: not of this toolkit's format {FORMAT}; it comes from elsewhere or another version")
    seal = values.pop(SEAL, None if values["format"] == BEFORE_SEALS else "")
    if seal is not None and seal != seal_of(values):
        raise DamagedError(
            f"{path}: not as it was written; take it from a backup, or, if you changed it yourself, set its "
            f'"{SEAL}" to null'
        )
    return {name: value for name, value in values.items() if name != "format"}


def load_weights(folder: Path, model: nn.Module) -> None:
    """Fill ``model`` from ``model.safetensors``; every name and shape must match."""
    tensors, _ = _read(folder / MODEL)
    _fill(model, tensors, folder / MODEL)


def save_training(
    folder: Path, model: nn.Module, average: WeightAverage, optimizer: torch.optim.Optimizer, state: dict[str, Any]
) -> None:
    """Write ``resume.safetensors``: weights, their average, the optimizer, the random state, and ``state``.

    The one before it goes on as ``previous.safetensors``.
    """
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.weights.items()}
    memory = optimizer.state_dict()["state"]
    tensors |= {f"optimizer.{at}.{name}": value for at, slot in memory.items() for name, value in slot.items()}
    tensors["random"] = torch.get_rng_state()
    note = json.dumps({**state, "updates": average.updates})
    write_keeping(folder / RESUME, pack(tensors, {"state": note}), folder / PREVIOUS)


def load_training(
    folder: Path, model: nn.Module, average: WeightAverage, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Put everything back where ``save_training`` took it from and return its ``state``; see ``faults``."""
    path, tensors, metadata = _newest(folder)
    try:
        state = json.loads(metadata["state"])
        averaged, slots = _part(tensors, "average."), _slots(_part(tensors, "optimizer."))
        _compare(model, averaged, path)
        groups = optimizer.state_dict()["param_groups"]
        if slots and slots.keys() != {at for group in groups for at in group["params"]}:
            raise ValueError("the optimizer's state is not complete")
        _fill(model, _part(tensors, "model."), path)
        average.weights = {name: value.to(average.weights[name].device) for name, value in averaged.items()}
        average.updates = state.pop("updates")
        optimizer.load_state_dict({"state": slots, "param_groups": groups})
        for parameter, slot in optimizer.state.items():  # fused optimizers take for granted that layouts agree
            slot.update(
                {
                    name: torch.empty_like(parameter).copy_(value)
                    for name, value in slot.items()
                    if value.shape == parameter.shape and value.stride() != parameter.stride()
                }
            )
        torch.set_rng_state(tensors["random"])
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(f"{path}: does not fit this run ({error}); it comes from elsewhere") from None
    return state


def training_state(folder: Path) -> dict[str, Any]:
    """The ``state`` of the last checkpoint that is whole, without its tensors."""
    if not resumable(folder):
        raise InputError(f"{folder}: nothing to resume, there is no {RESUME}; start with `train DATA -o {folder}`")
    path, _, metadata = _newest(folder)
    try:
        state = json.loads(metadata["state"])
        state.pop("updates")  # the average's own
        return state
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _damaged(path) from None


def resumable(folder: Path) -> bool:
    """Whether there is a checkpoint to go on from."""
    return (folder / RESUME).exists() or (folder / PREVIOUS).exists()


def faults(folder: Path) -> list[str]:
    """What is damaged in the folder of a run that is resumed, and what comes of it: a line for the user each."""
    found = []
    path, _, metadata = _newest(folder)
    if path.name != RESUME:
        step = json.loads(metadata["state"]).get("step")
        what = "damaged" if (folder / RESUME).exists() else "missing"
        found.append(f"{folder / RESUME} is {what}: going on from the one before it, step {step}")
    try:
        _read(folder / MODEL)
    except InputError:
        what = "damaged" if (folder / MODEL).exists() else "missing"
        found.append(f"{folder / MODEL} is {what}: written anew")
    return found


def clear(folder: Path) -> None:
    """Remove a run's checkpoint, for good before this returns, the configuration first."""
    remove(*(folder / name for name in (CONFIG, MODEL, RESUME, PREVIOUS)))


def _from_hub(folder: Path) -> str:
    """The way to a model on the Hugging Face Hub, if that is what the name looks like: nothing is downloaded here."""
    if len(folder.parts) != 2 or folder.parent.exists():
        return ""
    return f"; one of the Hugging Face Hub comes with: hf download {folder.as_posix()} --local-dir {folder.name}"


def _newest(folder: Path) -> tuple[Path, dict[str, Tensor], dict[str, str]]:
    """The last checkpoint that is whole: its file, tensors and metadata."""
    newest, previous = folder / RESUME, folder / PREVIOUS
    try:
        return newest, *_read(newest)
    except InputError as error:
        if newest.exists() and not isinstance(error, DamagedError):  # such as no permission: it may be whole
            raise
        try:
            return previous, *_read(previous)
        except InputError:
            raise error from None


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        return read(path, _advice(path), METADATA[path.name])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; a model folder holds {CONFIG} and {MODEL}") from None


def _fill(model: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    _compare(model, tensors, path)
    model.load_state_dict(tensors)


def _compare(model: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    wanted = model.state_dict()
    odd = sorted(wanted.keys() ^ tensors.keys())
    odd += [name for name in wanted if name in tensors and wanted[name].shape != tensors[name].shape]
    if odd:
        raise InputError(f"{path}: its weights are not this model's (first difference: {odd[0]}); wrong folder?")
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values() if value.is_floating_point()):
        raise InputError(f"{path}: holds weights that are not finite; use an earlier checkpoint")


def _slots(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        at, key = name.split(".", 1)
        slots.setdefault(int(at), {})[key] = value
    return slots


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _advice(path: Path) -> str:
    if path.name == MODEL and resumable(path.parent):
        return f"train --resume {path.parent} writes it anew"
    return "use another checkpoint or train again"


def _damaged(path: Path) -> DamagedError:
    return DamagedError(f"{path}: damaged or no safetensors file; {_advice(path)}")
