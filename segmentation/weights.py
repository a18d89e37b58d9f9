"""Published weights: read without running any code of theirs, recognised by their shapes, and filled in openly.

What a file holds decides what is built from it (``network_of``); what does not fit is named and never skipped in
silence (``fill``). Everything else is an ``InputError``: one line with the file, the reason, the way out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from segmentation.backbones.resnet import DEPTHS, Bottleneck
from segmentation.networks import DeepLabV3, Segmenter
from segmentation.palette import MOST_CLASSES
from segmentation.pth import read_pth
from shared.errors import InputError
from shared.sealed import TENSORS, read

WRAPPERS = ("model", "state_dict")
PREFIXES = ("module.", "_orig_mod.")  # DataParallel's and torch.compile's
LATER_KEY = "num_batches_tracked"  # newer than some files, and without effect on a prediction
AUXILIARY = "aux_classifier."


def read_published(path: Path | str) -> dict[str, Tensor]:
    """The state dict of a ``.pth`` or ``.safetensors`` file, on the CPU; reading it runs no code from it.

    Taken out of ``{"model": …}`` or ``{"state_dict": …}``, and without the prefixes of DataParallel and
    torch.compile. InputError for anything that is not a dict of finite tensors by name.
    """
    path = Path(path)
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {what}; published weights are a .pth or .safetensors file")
    content = read(path, "download it again")[0] if path.suffix == ".safetensors" else read_pth(path)
    for name in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    named = isinstance(content, Mapping) and all(isinstance(name, str) for name in content)
    if not named or not content or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path}: holds no state dict; save one with torch.save(model.state_dict(), PATH)")
    state = dict(content)
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    TENSORS.hold(path, len(state), "holds {} tensors", "use a file of plain weights")
    for name, value in state.items():
        _check_dense(name, value, path)
    if sum(value.nbytes for value in state.values()) > path.stat().st_size:  # many views can claim the same bytes
        raise InputError(f"{path}: its tensors are larger than the file; save plain float weights")
    for name, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value.float()).all()):
            raise InputError(f"{path}: {name!r} holds numbers that are not finite; use another checkpoint")
    return {name: value.detach() for name, value in state.items()}


def network_of(state: Mapping[str, Tensor], where: Path | str = "weights") -> tuple[DeepLabV3, int]:
    """The DeepLabV3 that these weights belong to and its number of classes, read off their names and shapes.

    What weights cannot tell takes its default: output stride 8, torchvision's, and the rates that go with it.
    ``where`` names them in an InputError.
    """
    blocks = tuple(
        len({name.split(".")[2] for name in state if name.startswith(f"backbone.layer{stage}.")})
        for stage in (1, 2, 3, 4)
    )
    bottleneck = "backbone.layer1.0.conv3.weight" in state
    kinds = {(counts, block is Bottleneck): depth for depth, (block, counts) in DEPTHS.items()}
    depth = kinds.get((blocks, bottleneck))
    try:
        first, project, last = (
            state[f"{name}.weight"] for name in ("backbone.conv1", "classifier.0.project.0", "classifier.4")
        )
        if depth is None or not 2 <= last.shape[0] <= MOST_CLASSES:
            raise ValueError
        auxiliary = any(name.startswith(AUXILIARY) for name in state)
        sizes = {"width": first.shape[0], "channels": project.shape[0]}
        return DeepLabV3(depth=depth, auxiliary=auxiliary, **sizes), last.shape[0]
    except (KeyError, ValueError, IndexError):
        raise InputError(
            f"{where}: not the weights of a DeepLabV3 on a ResNet of {', '.join(map(str, DEPTHS))} layers"
            f" (first entry: {next(iter(state), None)!r}); torchvision's deeplabv3_resnet50 and 101 are"
        ) from None


def fill(model: Segmenter, state: Mapping[str, Tensor], where: Path | str = "weights") -> list[str]:
    """Load ``state`` into ``model``, and return the names of what was not taken over.

    Those are last layers of another number of classes, and an auxiliary head that only one of the two has; the
    model's own stay as they were. Anything else that does not fit raises InputError, and then nothing is loaded.
    """
    wanted = model.state_dict()
    left_out = [name for name in model.last_layers if name in state and _other_classes(wanted[name], state[name])]
    lone = [name for name in [*wanted, *state] if (name in wanted) != (name in state)]
    if model.aux_classifier is None or not any(name.startswith(AUXILIARY) for name in state):
        left_out += [name for name in lone if name.startswith(AUXILIARY)]
    wrong = [name for name in lone if name not in left_out and not name.endswith(LATER_KEY)]
    if wrong:
        lacks = f"there is {'no' if wrong[0] in wanted else 'a'} {wrong[0]!r}"
        raise InputError(f"{where}: its weights are not this network's, {lacks}; {_WAY_OUT}")
    fitting = {name: value for name, value in state.items() if name in wanted and name not in left_out}
    for name, value in fitting.items():
        if value.shape != wanted[name].shape:
            shapes = f"{list(value.shape)} instead of {list(wanted[name].shape)}"
            raise InputError(f"{where}: its weights are not this network's, {name} is {shapes}; {_WAY_OUT}")
    model.load_state_dict({**wanted, **fitting})
    return left_out


_WAY_OUT = "choose the network that they were trained in"


def _other_classes(ours: Tensor, theirs: Tensor) -> bool:
    return ours.shape != theirs.shape and ours.shape[1:] == theirs.shape[1:]


def _check_dense(name: str, value: Tensor, where: Path | str) -> None:
    """Refuse what is not a dense tensor that fills its own storage."""
    dense = value.layout == torch.strided and not (value.is_quantized or value.is_nested or value.is_meta)
    # a view can claim a terabyte from four bytes
    if not dense or value.is_complex() or value.untyped_storage().nbytes() < value.numel() * value.element_size():
        raise InputError(f"{where}: {name!r} is no plain tensor; save plain float weights")
