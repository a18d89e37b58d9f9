import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests are small: threads would wait for each other; before torch

import pytest
import torch

# The first backward pass starts a thread for each kind of device known by then, which is none yet; once there are such
# threads, a process that was forked cannot compute gradients, and many tests fork.
torch.ones(1, requires_grad=True).sum().backward()

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _same_random_numbers_every_time():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _threads_as_before():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    return torch.device(request.param)


@pytest.fixture(scope="session")
def speech():
    """The folder of real recordings that lies beside the project on its makers' machines."""
    folder = SHARED_DATA / "speech_single" / "clips"
    if not folder.is_dir():
        pytest.skip(f"real recordings are not here: {folder}")
    return folder
