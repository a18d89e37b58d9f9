"""The lesson's experiments: data are what they claim, arms are equal where claimed, numbers follow from the seed."""

import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from recipes.lesson.experiments import EXPERIMENTS, cues, echo, gridding, pyramid_rates, schedules, thin_objects
from recipes.lesson.experiments.__main__ import main, report
from recipes.lesson.experiments.fit import held_back
from recipes.lesson.experiments.runner import run_all
from recipes.lesson.experiments.trial import Arm, Claim, Experiment, Verdict
from shared import rf

ROOT = Path(__file__).parents[2]
BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}
EQUAL = ("schedules", "gridding", "pyramid_rates", "volumes", "order")
each_experiment = pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)


def draw_seed(_arm, seed, _effort):
    return {"seed": seed, "drawn": torch.rand(3)}


TOY = Experiment(
    "toy", "Is a seed a seed?", "It is.", (Arm("one"), Arm("two")), draw_seed,
    lambda result: [Claim.at_each_seed("seeds are kept", result.of("one", "seed") == result.seeds)],
    lambda _result, figure: figure.add_subplot().get_title() or "A finding",
    {"seed": "seed"},
)  # fmt: skip


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)


def test_only_the_marker_tells_the_class_of_a_bar():
    first, second = (cues.bars(32, (8, 64), 2, held_back(0), only) for only in (0, 1))
    differ = (first.inputs != second.inputs)[:, 0]
    assert torch.equal(differ.any(1), first.markers)
    assert torch.equal(first.labels > 0, second.labels > 0)
    assert set(first.labels.unique().tolist()) == {0, 1}
    assert set(second.labels.unique().tolist()) == {0, 2}


def test_shuffled_markers_tell_nothing():
    drawn = cues.bars(400, (8, 64), 2, held_back(1))
    marked = (drawn.inputs[:, 0] * drawn.markers[:, None]).sum((1, 2)) - 2 * 3 * cues.BAR
    classes = drawn.labels.amax((1, 2)) == 2
    assert ((marked > 0) == classes).float().mean() > 0.99
    shuffled = marked[torch.randperm(len(marked), generator=held_back(2))]
    assert abs(((shuffled > 0) == classes).float().mean() - 0.5) < 0.08


def test_a_bars_pixels_lie_in_as_many_rows_as_it_is_thick_and_count_their_distance_from_the_marker():
    drawn = cues.bars(16, (5, 6, 32), 3, held_back(0))
    assert ((drawn.labels > 0).any(-1).sum((1, 2)) == 9).all()
    for distances, markers in zip(drawn.distances, drawn.markers, strict=True):
        centre = markers.nonzero()[1]
        at = (distances == 7).nonzero()[:, -1].unique()
        assert len(at) == 1
        assert abs(at - centre) == 7


def test_a_pixel_that_cannot_read_the_marker_is_right_half_the_time_exactly():
    arm = schedules.EXPERIMENT.arm("linear")
    accuracy = cues.accuracy_by_distance(arm.make().eval(), schedules.SHAPE, 2, seed=0, count=8)
    assert (accuracy[schedules.predicted_knee(arm) < schedules.AT] == 0.5).all()


@pytest.mark.parametrize("rates", [(1, 1, 1), (1, 2, 4), (4, 4)])
def test_far_from_the_border_the_prediction_is_one_within_reach_and_chance_beyond(rates):
    predicted = cues.predicted_by_distance(rates, (8, 64), 2, seed=0, count=16)
    field = rf.stack(3, rates)
    read = [any(at + part in field for part in (-1, 0, 1)) for at in cues.distances((8, 64))]
    assert np.array_equal(predicted, np.where(read, 1.0, 0.5))


def test_a_way_that_swings_out_over_the_border_is_lost():
    inside = rf.stack(3, (1, 3, 9)).offsets
    sets = cues.read_sets((1, 3, 9), 32)
    assert all(sets[13, 13 + offset] for offset in inside)
    assert not sets[7, 7 - 5]  # 5 back is 9 back and 4 forth, and 9 back there is nothing


def test_a_curves_picture_is_its_mask_under_noise():
    inputs, masks = gridding.curves(64, held_back(0))
    rest = inputs[:, 0] - masks
    assert abs(rest.mean()) < 0.01
    assert abs(rest.std() - gridding.NOISE) < 0.01
    assert (masks.any(1).float().mean(1) == 1).all()  # a curve crosses every column


def test_a_stroke_is_as_thick_as_its_width_says():
    _, widths = thin_objects.strokes(200, held_back(0))
    assert set(widths.unique().tolist()) == {0, *thin_objects.WIDTHS}
    pixels = torch.tensor([(widths == width).sum() for width in thin_objects.WIDTHS])
    assert (pixels.diff() > 0).all()


def test_a_ring_shows_its_outline_and_asks_for_its_inside():
    inputs, masks = pyramid_rates.rings(200, held_back(0))
    for radius, kind in zip(pyramid_rates.RADII, range(1, pyramid_rates.CLASSES), strict=True):
        inside = (masks == kind).flatten(1).sum(1)
        assert abs(inside[inside > 0].float().mean() / (np.pi * radius**2) - 1) < 0.1
    assert (masks.flatten(1).amax(1) > 0).all()
    assert inputs[:, 0][masks > 0].mean() < 0.7  # most of an inside is ground


def test_an_echo_is_the_wave_so_many_samples_ago():
    wave, target = echo.echoes(2, held_back(0))
    for lag, delayed in zip(echo.LAGS, target.unbind(1), strict=True):
        end = wave.shape[-1] - lag
        assert torch.equal(delayed, wave[:, 0, end - echo.TARGETS : end])


@pytest.mark.parametrize("name", EQUAL)
def test_arms_have_equal_parameters_and_multiply_adds(name):
    arms = BY_NAME[name].arms
    assert len({arm.parameters for arm in arms}) == 1
    assert len({arm.macs for arm in arms}) == 1


def test_gridding_compares_equal_fields():
    sizes = [arm.sees.size for arm in gridding.ARMS]
    assert sizes[:4] == [31] * 4
    assert [arm.sees.gap_free for arm in gridding.ARMS] == [False, True, True, True, True]


def test_what_an_arm_declares_is_what_its_network_reads():
    for experiment in EXPERIMENTS:
        for arm in experiment.arms:
            if arm.declared is not None:
                asked = rf.of(arm.make().eval(), arm.shape).axes[-1]
                assert (asked.size, asked.offsets) == (arm.declared.size, arm.declared.offsets), arm.name


def test_multiply_adds_are_those_of_the_convolutions():
    conv = Arm("one", lambda: torch.nn.Conv2d(3, 8, 5, padding=2), shape=(3, 10, 12))
    assert conv.macs == 3 * 8 * 25 * 10 * 12


@each_experiment
def test_a_tiny_run_gives_a_result_a_table_a_figure_and_a_verdict(experiment):
    result = experiment.run(seeds=(0,), effort=0.01)
    assert len(result.rows()) == len(experiment.arms)
    assert result.figure().get_suptitle()
    assert result.verdict.kind in {"confirmed", "refuted", "undecided"}
    assert json.loads(json.dumps(result.to_dict()))["seeds"] == [0]
    assert experiment.title in report(result)


@each_experiment
def test_a_job_can_be_sent_and_measures_the_same_again(experiment):
    job = pickle.loads(pickle.dumps(experiment.jobs(seeds=(3,), effort=0.01)[0]))
    before = torch.random.get_rng_state(), torch.get_num_threads()
    first = job.run()
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    torch.rand(1)
    assert same(first, job.run())


def test_a_run_hears_of_every_trial_and_sorts_what_comes():
    heard = []
    result = TOY.run(seeds=(4, 2), progress=lambda done, of, job: heard.append((done, of, job.seed)))
    assert heard == [(1, 4, 4), (2, 4, 2), (3, 4, 4), (4, 4, 2)]
    assert result.seeds == (2, 4)
    assert result.of("two", "drawn").shape == (2, 3)
    assert result.shown("one", "seed", 1) == "3.0 ± 1.4"
    assert result.verdict.kind == "confirmed"


@pytest.mark.parametrize(
    ("claims", "kind"),
    [
        ([(True, True), (True, True)], "confirmed"),
        ([(True, True), (True, False)], "undecided"),
        ([(True, False), (False, False)], "refuted"),
    ],
)
def test_a_verdict_follows_from_what_holds_at_which_seeds(claims, kind):
    assert Verdict(tuple(Claim("it does", holds) for holds in claims)).kind == kind


@pytest.mark.slow
def test_numbers_do_not_depend_on_the_number_of_workers():
    chosen = [BY_NAME["evaluation"], BY_NAME["echo"]]
    alone, together = (run_all(chosen, seeds=(0,), workers=workers, effort=0.01) for workers in (1, 2))
    for experiment in chosen:
        for arm in experiment.arms:
            one, other = (results[experiment.name].numbers[arm.name][0] for results in (alone, together))
            assert same(one, other), arm.name


def test_the_command_prints_a_table_and_writes_the_figure(tmp_path, capsys):
    assert main(["evaluation", "--seeds", "2", "--workers", "1", "-o", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert "1.000 ± 0.000" in printed.out
    assert "4/4 evaluation" in printed.err
    assert (tmp_path / "evaluation.png").stat().st_size > 5000
    assert main(["evaluation", "--seeds", "1", "--workers", "1", "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["evaluation"]["verdict"] == "confirmed"


def test_an_unknown_experiment_is_refused_in_one_line(capsys):
    assert main(["echoes", "-q"]) == 1
    assert capsys.readouterr().err == "experiments: error: echoes: there is no such experiment; did you mean echo?\n"


@pytest.mark.slow
def test_ctrl_c_ends_the_command_in_one_line():
    command = [sys.executable, "-m", "recipes.lesson.experiments", "schedules", "--workers", "2"]
    started = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    started.stderr.readline()  # the first trial is done
    os.kill(started.pid, signal.SIGINT)
    _, rest = started.communicate(timeout=30)
    assert started.returncode == 130
    assert rest.splitlines()[-1] == "experiments: stopped"
    assert "Traceback" not in rest


@pytest.mark.slow
def test_an_interruption_ends_every_worker():
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all([schedules.EXPERIMENT], seeds=(0,), workers=2, progress=interrupt, effort=0.01)
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_the_knee_of_every_schedule_is_where_arithmetic_puts_it():
    result = BY_NAME["schedules"].run(seeds=(0,))
    for arm in result.experiment.arms:
        assert abs(result.of(arm.name, "knee")[0] - schedules.predicted_knee(arm)) <= 2, arm.name
        assert result.of(arm.name, "beyond")[0] == 0.5


@pytest.mark.slow
def test_an_echo_is_heard_if_and_only_if_its_lag_is_in_the_field():
    result = BY_NAME["echo"].run(seeds=(0,))
    for arm in result.experiment.arms:
        assert result.of(arm.name, "heard")[0] > 0.95, arm.name
        assert result.of(arm.name, "deaf")[0] < 0.05, arm.name


@pytest.mark.slow
def test_of_equal_fields_the_gridded_one_is_worst():
    result = BY_NAME["gridding"].run(seeds=(0,))
    gridded, *rest = (result.of(arm.name, "iou")[0] for arm in gridding.ARMS)
    assert gridded < min(rest)
