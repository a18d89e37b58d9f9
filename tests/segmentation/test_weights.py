"""Published weights: every usual wrapping is read, nothing in a file is run, and what does not fit is named."""

import argparse
import os
import pickle
import warnings
from collections import OrderedDict
from hashlib import sha256
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from segmentation.networks import DeepLabV3, DeepLabV3Plus, PoolFree, Segmenter
from segmentation.weights import fill, network_of, read_published
from shared.errors import InputError


def small(classes: int = 5, auxiliary: bool = True) -> Segmenter:
    return DeepLabV3(depth=18, width=4, channels=8, auxiliary=auxiliary).build(classes)


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(value, other[name]) for name, value in one.items())


def one_line(error: pytest.ExceptionInfo[InputError], path: object) -> str:
    text = str(error.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text


def training_checkpoint(state: dict[str, Tensor]) -> dict:
    """What torchvision's training script saves."""
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=9)
    arguments = argparse.Namespace(lr=0.02, aux_loss=True, device="cuda", output_dir=".", resume=None)
    steps = {"optimizer": optimizer.state_dict(), "lr_scheduler": schedule.state_dict(), "epoch": 3}
    return {"model": state, **steps, "args": arguments, "scaler": {"scale": 65536.0}}


WRAPPINGS = {
    "bare": lambda state: state,
    "model": lambda state: {"model": state},
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "training script": training_checkpoint,
    "DataParallel": lambda state: {f"module.{name}": value for name, value in state.items()},
    "compiled, in DataParallel": lambda state: {
        "model": OrderedDict((f"module._orig_mod.{name}", value) for name, value in state.items())
    },
    "parameters": lambda state: {
        name: nn.Parameter(value) if value.is_floating_point() else value for name, value in state.items()
    },
}


@pytest.mark.parametrize("name", WRAPPINGS)
@pytest.mark.parametrize("zipped", [True, False])
def test_every_usual_wrapping_is_read(tmp_path: Path, name: str, zipped: bool) -> None:
    state = small().state_dict()
    torch.save(WRAPPINGS[name](state), tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    read = read_published(tmp_path / "w.pth")
    assert equal(read, state)
    assert not any(value.requires_grad for value in read.values())


def test_safetensors_are_read(tmp_path: Path) -> None:
    state = small().state_dict()
    safetensors.torch.save_file(state, tmp_path / "w.safetensors")
    read = read_published(str(tmp_path / "w.safetensors"))
    assert read.keys() == state.keys()
    assert equal(dict(sorted(read.items())), dict(sorted(state.items())))


class Mine:
    """A class that a stranger's file would like to have run."""

    def __reduce__(self):
        return os.system, ("touch RUN",)


class Disguised(argparse.Namespace):
    """Not the Namespace that is let in."""


def contents() -> dict[str, object]:
    state = small().state_dict()
    huge = torch.zeros(1).expand(2**40)
    quantized = torch._empty_affine_quantized([2], scale=1.0, zero_point=0, dtype=torch.qint8)
    return {
        "a whole model": small(),
        "code": {"model": Mine()},
        "code in arguments": {"model": state, "args": argparse.Namespace(lr=Mine())},
        "a disguised class": {"model": state, "args": Disguised()},
        "a list": [torch.zeros(2)],
        "a number": 3,
        "nothing": {},
        "numbers by name": {"model": {"a": 1.0}},
        "tensors by number": {0: torch.zeros(2)},
        "not a number": {**state, "backbone.conv1.weight": torch.full((4, 3, 7, 7), torch.nan)},
        "infinity for float32": {"a": torch.tensor([1e300], dtype=torch.float64)},
        "a view that claims a terabyte": {"a": huge},
        "sparse": {"a": torch.eye(3).to_sparse()},
        "quantized": {"a": quantized},
        "complex": {"a": torch.zeros(2, dtype=torch.complex64)},
        "meta": {"a": torch.zeros(2, device="meta")},
    }


@pytest.mark.parametrize("name", contents())
def test_what_is_no_state_dict_of_finite_tensors_is_refused_in_one_line(tmp_path: Path, monkeypatch, name) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(contents()[name], tmp_path / "w.pth")
    with pytest.raises(InputError) as error:
        read_published(tmp_path / "w.pth")
    assert ";" in one_line(error, tmp_path / "w.pth")
    assert not (tmp_path / "RUN").exists()


FILES = {
    "empty.pth": b"",
    "page.pth": b"<!DOCTYPE html><html>404</html>",
    "plain.pth": pickle.dumps(Mine()),
    "zip.pth": b"PK\x03\x04" + bytes(100),
    "noise.pth": bytes(range(256)) * 9,
    "empty.safetensors": b"",
    "noise.safetensors": bytes(range(256)) * 9,
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path: Path, monkeypatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(FILES[name])
    with pytest.raises(InputError) as error:
        read_published(tmp_path / name)
    assert "download it again" in one_line(error, tmp_path / name)
    assert not (tmp_path / "RUN").exists()


def test_a_checkpoint_cut_anywhere_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(50)}, tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    for length in range(0, len(whole), len(whole) // 23):
        (tmp_path / "cut.pth").write_bytes(whole[:length])
        with pytest.raises(InputError) as error:
            read_published(tmp_path / "cut.pth")
        one_line(error, tmp_path / "cut.pth")


def test_an_archive_with_a_flipped_bit_in_a_tensor_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.arange(500.0)}, tmp_path / "w.pth")
    content = bytearray((tmp_path / "w.pth").read_bytes())
    content[content.index(torch.tensor([7.0, 8.0]).numpy().tobytes())] ^= 1
    (tmp_path / "w.pth").write_bytes(content)
    assert not torch.equal(torch.load(tmp_path / "w.pth", weights_only=True)["a"], torch.arange(500.0))  # unnoticed
    with pytest.raises(InputError, match="damaged, a checksum is wrong; download it again") as error:
        read_published(tmp_path / "w.pth")
    one_line(error, tmp_path / "w.pth")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_name_that_tells_the_sha_256_is_held_to_it(tmp_path: Path, zipped: bool) -> None:
    torch.save({"a": torch.arange(500.0)}, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    content = (tmp_path / "w.pth").read_bytes()
    named = tmp_path / f"deeplabv3_resnet50_coco-{sha256(content).hexdigest()[:8]}.pth"
    named.write_bytes(content)
    assert read_published(named).keys() == {"a"}
    named.write_bytes(content + b"\0")
    with pytest.raises(InputError, match="damaged, its SHA-256 begins with") as error:
        read_published(named)
    one_line(error, named)


def test_views_that_claim_the_same_bytes_over_and_over_are_refused(tmp_path: Path) -> None:
    weights = torch.zeros(10_000)
    torch.save({f"a{at}": weights for at in range(9)}, tmp_path / "w.pth")
    with pytest.raises(InputError, match="its tensors are larger than the file"):
        read_published(tmp_path / "w.pth")


def test_a_torchscript_archive_is_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), str(tmp_path / "w.pth"))
    with pytest.raises(InputError) as error:
        read_published(tmp_path / "w.pth")
    one_line(error, tmp_path / "w.pth")


def test_what_is_not_there_or_a_folder_is_said(tmp_path: Path) -> None:
    for path, what in ((tmp_path / "none.pth", "no such file"), (tmp_path, "a folder")):
        with pytest.raises(InputError, match=what):
            read_published(path)


@pytest.mark.parametrize("depth", [18, 34, 50, 101])
@pytest.mark.parametrize("auxiliary", [True, False])
def test_weights_name_their_network_and_its_classes(depth: int, auxiliary: bool) -> None:
    network = DeepLabV3(depth=depth, width=2, channels=3, auxiliary=auxiliary)
    with torch.device("meta"):
        assert network_of(network.build(classes=7).state_dict()) == (network, 7)


@pytest.mark.parametrize(
    "state",
    [
        DeepLabV3Plus(depth=18, width=2, channels=3).build(5).state_dict(),
        PoolFree(width=2).build(5).state_dict(),
        small().backbone.state_dict(),
        {"backbone.layer1": torch.zeros(1)},
        {"a\nb": torch.zeros(1)},
        {**small().state_dict(), "classifier.4.weight": torch.zeros(())},
        {**small().state_dict(), "classifier.4.weight": torch.zeros(10**6, 1)},
        {**small().state_dict(), "backbone.conv1.weight": torch.zeros(10**6, 1)},
        {name: value for name, value in small().state_dict().items() if ".layer2." not in name},
        {},
    ],
)
def test_weights_of_something_else_are_refused(state: dict[str, Tensor]) -> None:
    with pytest.raises(InputError, match="not the weights of a DeepLabV3") as error:
        network_of(state, where="w.pth")
    one_line(error, "w.pth")


def test_fitting_weights_are_taken_over_whole() -> None:
    source, model = small(), small()
    assert fill(model, source.state_dict()) == []
    assert equal(model.state_dict(), source.state_dict())


def test_another_number_of_classes_leaves_out_the_last_layers_only() -> None:
    source, model = small(classes=5), small(classes=3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    left_out = fill(model, source.state_dict())
    assert left_out == list(model.last_layers)
    for name, value in model.state_dict().items():
        assert torch.equal(value, (before if name in left_out else source.state_dict())[name])


@pytest.mark.parametrize("classes", [5, 3])
@pytest.mark.parametrize("here", [True, False])
def test_an_auxiliary_head_that_only_one_side_has_is_left_out_and_named(classes: int, here: bool) -> None:
    source, model = small(5, auxiliary=not here), small(classes, auxiliary=here)
    auxiliary = [name for name in small().state_dict() if name.startswith("aux_classifier.")]
    last = ["classifier.4.weight", "classifier.4.bias"] if classes == 3 else []
    assert fill(model, source.state_dict()) == [*last, *auxiliary]
    assert torch.equal(model.backbone.conv1.weight, source.backbone.conv1.weight)


def test_files_from_before_norms_counted_their_batches_fit() -> None:
    source = {name: value for name, value in small().state_dict().items() if not name.endswith("num_batches_tracked")}
    assert fill(small(), source) == []


def test_half_precision_is_widened() -> None:
    source, model = small(), small()
    fill(model, source.half().state_dict())
    assert model.backbone.conv1.weight.dtype == torch.float32
    assert torch.equal(model.backbone.conv1.weight, source.backbone.conv1.weight.float())


def changed(**entries: Tensor | None) -> dict[str, Tensor]:
    state = {**small().state_dict(), **{name.replace("__", "."): value for name, value in entries.items()}}
    return {name: value for name, value in state.items() if value is not None}


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (changed(backbone__conv1__weight=None), "no 'backbone.conv1.weight'"),
        (changed(classifier__4__bias=None), "no 'classifier.4.bias'"),
        (changed(aux_classifier__0__weight=None), "no 'aux_classifier.0.weight'"),
        (changed(backbone__fc__weight=torch.zeros(2)), "a 'backbone.fc.weight'"),
        (changed(backbone__conv1__weight=torch.zeros(4, 3, 5, 5)), r"is \[4, 3, 5, 5\] instead of \[4, 3, 7, 7\]"),
        (changed(classifier__4__weight=torch.zeros(5, 9, 1, 1)), r"is \[5, 9, 1, 1\] instead of \[5, 8, 1, 1\]"),
        (changed(classifier__2__bias=torch.zeros(7)), r"is \[7\] instead of \[8\]"),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_nothing_is_loaded(state: dict[str, Tensor], reason: str) -> None:
    model = small()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError, match=reason) as error:
        fill(model, state, where="w.pth")
    one_line(error, "w.pth")
    assert equal(model.state_dict(), before)
