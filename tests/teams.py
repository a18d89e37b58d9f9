"""Several processes at once, as torchrun would start them, without the seconds that starting Python and torch takes."""

import multiprocessing
import os
import socket
import warnings

WAIT = 120  # seconds: a test must not hang


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def as_team(size, work, *arguments, restarts=0, launch="test"):
    """Call ``work(*arguments)`` in ``size`` forked processes; their exit codes."""
    port, context = free_port(), multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of forks beside threads
        members = [
            context.Process(target=_member, args=(rank, size, port, restarts, launch, work, arguments))
            for rank in range(size)
        ]
        for each in members:
            each.start()
    for each in members:
        each.join(WAIT)
        if each.is_alive():
            each.kill()
            each.join()
    return [each.exitcode for each in members]


def _member(rank, size, port, restarts, launch, work, arguments):
    os.environ |= {
        "RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": launch,
        "TORCHELASTIC_RESTART_COUNT": str(restarts),
    }  # fmt: skip
    work(*arguments)
