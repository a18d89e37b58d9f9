"""The promises, in their quick tier: each proof holds, and catches the naive way."""

import pytest

from tests.reliability.promise import Absent, Tier, promises


@pytest.mark.parametrize("promise", promises(), ids=lambda promise: f"{promise.number:02}")
def test_the_promise_is_kept_and_its_proof_catches_the_naive_way(promise, tmp_path):
    try:
        proof = promise.proof(Tier("quick", tmp_path / "proof"))
        control = promise.control(Tier("quick", tmp_path / "control"))
    except Absent as missing:
        pytest.skip(str(missing))
    assert proof.all_held, proof
    assert not control.all_held, control


def test_the_promises_are_numbered_without_gaps():
    assert [promise.number for promise in promises()] == list(range(1, len(promises()) + 1))
