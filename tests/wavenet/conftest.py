import pytest

from tests.melodies import write_melodies
from tests.wavenet.command_line import TINY
from tests.wavenet.networks import small_network
from wavenet.cli import main
from wavenet.model import WaveNet


@pytest.fixture(params=[1, 2, 3], ids="kernel {}".format)
def network(request) -> WaveNet:
    return small_network(kernel_size=request.param)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    return write_melodies(tmp_path_factory.mktemp("recordings"), [f"melody {at}" for at in range(4)], 1.0)


@pytest.fixture(scope="module")
def run(recordings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "mine"
    assert main(["train", str(recordings), "-o", str(folder), "--steps", "3", "--threads", "1", "-q", *TINY]) == 0
    return folder
