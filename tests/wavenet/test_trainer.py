"""A run is its folder: it can be stopped, killed and resumed, and ends as if nothing had happened."""

import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch

from shared.errors import InputError
from shared.run_report import PAGE
from shared.training import checkpoint, session
from shared.training.settings import Plan
from wavenet import trainer
from wavenet.data import Plucks, Recordings
from wavenet.data.plucks import melody
from wavenet.distributions import Categorical
from wavenet.model import WaveNet, WaveNetConfig
from wavenet.run import Run, TrainConfig
from wavenet.wav import WavWriter

RUN = Run(
    data=Plucks(minutes=0.5),
    model=WaveNetConfig(
        dilations=(1, 2, 4, 8), residual_channels=16, gate_channels=16, skip_channels=16, output=Categorical()
    ),
    train=TrainConfig(
        batch=2,
        targets=256,
        warmup=10,
        learning_rate=1e-2,
        ema=0.9,
        save_every=10,
        evaluations=2,
        excerpts=4,
        previews=0,
        precision="float32",
    ),
)
QUIET = Plan(threads=1, device="cpu", quiet=True)


def checkpoint_of(folder):
    return safetensors.torch.load_file(folder / "resume.safetensors"), safetensors.torch.load_file(
        folder / "model.safetensors"
    )


def assert_same(one, other):
    for mine, yours in zip(checkpoint_of(one), checkpoint_of(other), strict=True):
        assert mine.keys() == yours.keys()
        assert all(torch.equal(mine[name], yours[name]) for name in mine)


def test_training_learns(tmp_path):
    outcome = trainer.start(RUN, tmp_path / "run", replace(QUIET, steps=120))
    assert outcome.bits < outcome.yardsticks.order_0 - 1
    assert outcome.step == 120
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records if "bits" in r] == list(range(1, 121))
    assert records[-1]["validation_bits"] == outcome.bits
    assert (tmp_path / "run" / "curve.png").stat().st_size > 5000
    assert isinstance(WaveNet.from_pretrained(tmp_path / "run"), WaveNet)


def test_resume_equals_no_interruption_bit_for_bit_in_bfloat16(tmp_path):
    run = replace(RUN, train=replace(RUN.train, precision="bfloat16"))
    trainer.start(run, tmp_path / "whole", replace(QUIET, steps=30))

    # The same budget, but the process "dies" at step 13 with its last checkpoint at step 10.
    class Died(Exception):
        pass

    folder = tmp_path / "broken"
    write = session.Journal.write

    def write_until_13(self, *, step, **values):
        if step == 13:
            raise Died
        write(self, step=step, **values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session.Journal, "write", write_until_13)
        with pytest.raises(Died):
            trainer.start(run, folder, replace(QUIET, steps=30))
    assert checkpoint.training_state(folder)["step"] == 10
    torch.rand(7)  # whatever else the process did to the random state
    trainer.resume(folder, QUIET)  # nothing is said: it finishes what was asked for
    assert_same(tmp_path / "whole", folder)
    journal = (folder / "metrics.jsonl").read_text().splitlines()
    assert [r["step"] for r in map(json.loads, journal) if "bits" in r] == list(range(1, 31))


def test_steps_on_resume_are_the_new_total_and_minutes_are_added(tmp_path):
    trainer.start(RUN, tmp_path / "run", replace(QUIET, steps=10))
    assert trainer.resume(tmp_path / "run", replace(QUIET, steps=25)).step == 25
    before = checkpoint.training_state(tmp_path / "run")["seconds"]
    outcome = trainer.resume(tmp_path / "run", replace(QUIET, minutes=0.02))
    assert outcome.step > 25
    assert 1.2 <= checkpoint.training_state(tmp_path / "run")["seconds"] - before < 10


def test_a_folder_with_something_in_it_is_not_written_to(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    (tmp_path / PAGE).write_text("a report of an older run")
    with pytest.raises(InputError, match=r"not empty.*--resume.*--overwrite"):
        trainer.start(RUN, tmp_path, replace(QUIET, steps=1))
    trainer.start(RUN, tmp_path, replace(QUIET, steps=1), overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert not (tmp_path / PAGE).exists()


def test_a_file_that_vanishes_during_training_costs_nothing(tmp_path):
    for at in range(3):
        with WavWriter(tmp_path / f"{at}.wav") as file:
            file.write(melody(1.0, np.random.default_rng(at)))
    run = replace(RUN, data=Recordings(path=str(tmp_path)))
    write = session.Journal.write

    def remove_at_step_5(self, *, step, **values):
        write(self, step=step, **values)
        if step == 5:
            for path in tmp_path.glob("*.wav"):
                path.rename(path.with_suffix(".gone"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session.Journal, "write", remove_at_step_5)
        with pytest.raises(InputError, match=r"step 5 is saved.*--resume"):
            trainer.start(run, tmp_path / "run", replace(QUIET, steps=20))
    for path in tmp_path.glob("*.gone"):
        path.rename(path.with_suffix(".wav"))
    assert checkpoint.training_state(tmp_path / "run")["step"] == 5
    assert trainer.resume(tmp_path / "run", QUIET).step == 20


def test_bad_data_leave_an_old_run_alone(tmp_path):
    trainer.start(RUN, tmp_path / "run", replace(QUIET, steps=2))
    empty = tmp_path / "empty"
    empty.mkdir()
    wrong = replace(RUN, data=Recordings(path=str(empty)))
    with pytest.raises(InputError, match="no sound files"):
        trainer.start(wrong, tmp_path / "run", replace(QUIET, steps=2), overwrite=True)
    assert trainer.resume(tmp_path / "run", replace(QUIET, steps=3)).step == 3


def test_a_saved_model_is_not_a_run(tmp_path):
    WaveNet(RUN.model).save_pretrained(tmp_path / "model")
    with pytest.raises(InputError, match="not a training run"):
        trainer.resume(tmp_path / "model", replace(QUIET, steps=1))
