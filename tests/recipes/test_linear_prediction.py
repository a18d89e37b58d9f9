"""The study of the linear predictor prints a row an order, of numbers that are its own."""

import math

import torch

from recipes.benchmarks import linear_prediction
from tests.melodies import write_melodies
from wavenet.data.tracks import ArrayTrack


def test_it_prints_a_row_an_order(tmp_path, capsys):
    write_melodies(tmp_path, ["a", "b", "c"], 0.5)
    assert linear_prediction.main(["--data", str(tmp_path), "--clips", "2", "--seconds", "0.3", "-q"]) == 0
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [int(row[0]) for row in rows] == list(linear_prediction.ORDERS)
    assert all(0 < float(row[1]) <= float(row[2]) < 17 for row in rows)


def test_noise_costs_what_a_gaussian_of_its_loudness_does():
    noise = torch.randn(8000, generator=torch.Generator().manual_seed(0)) * 0.05
    bits, size = linear_prediction.scored(ArrayTrack("noise", noise.numpy()), 32, 0.5)
    entropy = math.log2(0.05 * 32_768 * math.sqrt(2 * math.pi * math.e))
    assert abs(bits - entropy) < 0.3
    assert 0.8 < size < 1.2
