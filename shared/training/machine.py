"""The machine a run has: device, threads, precision, and the allocator's manners."""

import ctypes
import sys

import torch

from shared.errors import InputError

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # malloc.h


def device_named(name: str = "auto") -> torch.device:
    """The device of that name; ``auto`` is the accelerator if there is one with float64, else the CPU."""
    if name == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        return torch.device("cpu") if found is None or found.type == "mps" else found
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # "meta" has no values to give
    except (RuntimeError, AssertionError, NotImplementedError, ImportError):
        raise InputError(f"--device {name}: not on this machine; --device auto takes what there is") from None
    return device


def precision_named(name: str, device: torch.device) -> torch.dtype:
    """``float32``, ``bfloat16``, or ``auto``: bfloat16 where the hardware multiplies it, else float32."""
    if name == "auto":
        if device.type == "cuda":
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            native = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
        return torch.bfloat16 if native else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]


def use_threads(count: int | None) -> int:
    """Set the number of threads of one product, if given; say how many there are."""
    if count is not None:
        if count < 1:
            raise InputError(f"--threads {count}: at least 1 is needed")
        torch.set_num_threads(count)
    return torch.get_num_threads()


def keep_memory() -> None:
    """Have the C library keep freed memory for the next step instead of giving it back to the system.

    A training step frees and takes the same hundreds of megabytes again and again; the system hands each page
    back zeroed, one fault at a time. Measured: a quarter of the step. Linux with glibc only; elsewhere nothing.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_TOP_PAD, 2**26)
