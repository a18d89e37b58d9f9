import pytest

from tests.wavenet.networks import small_network
from wavenet.model import WaveNet


@pytest.fixture(params=[1, 2, 3], ids="kernel {}".format)
def network(request) -> WaveNet:
    return small_network(kernel_size=request.param)
