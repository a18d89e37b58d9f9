"""What a step sees is a pure function of seed and step, and every epoch covers all the sound."""

import numpy as np
import pytest
import torch

from shared.training.processes import Team
from wavenet.data.excerpts import Excerpts, batch_of, evenly
from wavenet.data.tracks import ArrayTrack, Part, by_time


def ramp(name, start, samples):
    return ArrayTrack(name, np.arange(start, start + samples, dtype=np.float32))


def test_the_same_step_is_the_same_batch_whatever_was_asked_before():
    tracks = [ramp("a", 0, 1000), ramp("b", 5000, 300)]
    one, other = (Excerpts(tracks, context=20, targets=50, batch=3, seed=4) for _ in range(2))
    expected = [one.batch(step) for step in range(40)]
    for step in (39, 0, 17):
        assert torch.equal(other.batch(step).wave, expected[step].wave)


def test_a_step_can_name_the_tracks_that_it_sees():
    excerpts = Excerpts([ramp("a", 0, 1000), ramp("b", 5000, 300)], context=0, targets=50, batch=3, seed=4)
    for step in range(9):
        heard = ["a" if float(wave[0]) < 5000 else "b" for batch in excerpts.step(step, 2) for wave in batch.wave]
        assert excerpts.names(step, 2) == heard


def test_an_epoch_hears_nearly_everything_and_two_epochs_differ():
    excerpts = Excerpts([ramp("a", 1, 10_000)], context=0, targets=100, batch=1, seed=0)
    epochs = [torch.cat([excerpts.batch(step).wave for step in range(at, at + 100)]) for at in (0, 100)]
    for epoch in epochs:
        assert len(epoch.unique()) > 9_700
    assert not torch.equal(*epochs)


def test_only_of_a_track_shorter_than_an_excerpt_is_anything_computed_in_vain():
    lengths = (30, 100, 101, 130, 199, 950)
    excerpts = Excerpts([ramp(str(each), 1, each) for each in lengths], context=7, targets=100, batch=1, seed=0)
    for epoch in range(5):
        steps = range(epoch * excerpts.per_epoch, (epoch + 1) * excerpts.per_epoch)
        wasted = [int((1 - excerpts.batch(step).weight).sum()) for step in steps]
        assert sorted(wasted) == [0] * (excerpts.per_epoch - 1) + [70]


def test_before_a_track_there_is_silence_and_past_its_end_nothing_counts():
    batch = batch_of([(ramp("a", 1, 6), 0)], context=3, targets=8)
    assert batch.wave.tolist() == [[0, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0]]
    assert batch.weight.tolist() == [[1, 1, 1, 1, 1, 1, 0, 0]]


def test_the_context_is_what_stands_before_the_targets():
    batch = batch_of([(ramp("a", 0, 100), 50), (ramp("a", 0, 100), 2)], context=4, targets=3)
    assert batch.wave.tolist() == [[46, 47, 48, 49, 50, 51, 52], [0, 0, 0, 1, 2, 3, 4]]


def test_clips_of_every_length_take_part():
    tracks = [ramp(str(samples), 1, samples) for samples in (5, 50, 500)]
    excerpts = Excerpts(tracks, context=10, targets=50, batch=4, seed=0)
    heard = sum(float(excerpts.batch(step).weight.sum()) for step in range(excerpts.per_epoch))
    assert heard == 4 * 555


def test_evaluation_covers_each_sample_once():
    tracks = [ramp("a", 0, 105), ramp("b", 1000, 7)]
    places = evenly(tracks, targets=20)
    batch = batch_of(places, context=0, targets=20)
    scored = batch.wave[batch.weight.bool()]
    assert sorted(scored.tolist()) == [*range(105), *range(1000, 1007)]
    assert len(evenly(tracks, targets=20, most=3)) == 3


def test_one_recording_is_split_by_time():
    train, held = by_time(ramp("a", 0, 100), 0.1)
    assert isinstance(held, Part)
    assert train.read(0, train.samples).tolist() == list(range(90))
    assert held.read(0, held.samples).tolist() == list(range(90, 100))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("batches", [1, 3])
def test_the_shares_of_a_team_are_the_step(size, batches):
    excerpts = Excerpts([ramp("a", 0, 1000), ramp("b", 5000, 30)], context=20, targets=50, batch=2, seed=4)
    for step in (0, 7):
        whole = torch.cat([excerpts.batch(step * batches + at).wave for at in range(batches)])
        shares = [list(excerpts.step(step, batches, Team(rank, size))) for rank in range(size)]
        assert all(len(share) == batches for share in shares)
        assert torch.equal(torch.cat([batch.wave for share in shares for batch in share]), whole)
        counts = [sum(len(batch.wave) for batch in share) for share in shares]
        assert max(counts) - min(counts) <= 1
