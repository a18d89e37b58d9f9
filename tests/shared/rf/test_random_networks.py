"""Every output unit of random networks reads what its gradient says, channel by channel."""

import importlib.util
from pathlib import Path

import pytest
import torch

from shared.rf.judge import connections
from shared.rf.reach import of

_spec = importlib.util.spec_from_file_location("random_networks", Path(__file__).with_name("random_networks.py"))
random_networks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(random_networks)


def units_that_differ(seed: int, axes: int) -> tuple[int, list[str]]:
    """How many output units a random network has, and where walk and gradient disagree."""
    torch.manual_seed(seed)
    network, shape = random_networks.draw(seed, axes)
    reach = of(network, shape)
    assert not reach.unknown, reach.unknown
    result = reach.network.output.shape[1:]
    count = result.numel() if hasattr(result, "numel") else int(torch.Size(result).numel())
    units = torch.eye(count).view(count, *result)
    wanted = connections(network, shape, units, lambda y: y)
    wrong = []
    for number, expected in enumerate(wanted):
        unit = tuple(int(each) for each in torch.unravel_index(torch.tensor(number), result))
        seen = reach.unit(unit)
        if not torch.equal(seen, expected):
            wrong.append(f"seed {seed}, {axes}-D, unit {unit}: {network}")
    return count, wrong


@pytest.mark.parametrize(("axes", "seeds"), [(1, range(70)), (2, range(30))])
def test_every_unit_of_a_random_network_reads_what_its_gradient_says(axes: int, seeds: range) -> None:
    for seed in seeds:
        _, wrong = units_that_differ(seed, axes)
        assert not wrong, wrong[0]


@pytest.mark.slow
def test_two_thousand_random_networks_hold_without_one_unit_that_differs(capsys: pytest.CaptureFixture) -> None:
    networks = units = 0
    for axes, seeds in ((1, range(1000, 2600)), (2, range(1000, 1600))):
        for seed in seeds:
            count, wrong = units_that_differ(seed, axes)
            assert not wrong, wrong[0]
            networks, units = networks + 1, units + count
    with capsys.disabled():
        print(f"{networks} random networks, {units} output units, 0 mismatches")
    assert networks >= 2000
