"""Many experiments at once: a process a core, one thread each; what they find does not depend on how many there are."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing

from recipes.lesson.experiments.trial import Experiment, Job, Numbers, Result

Progress = Callable[[int, int, Job], None]
"""Hears of each trial that is done: how many are, of how many, and which."""


def run_all(
    experiments: Sequence[Experiment],
    seeds: Sequence[int] = (0, 1, 2),
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    effort: float = 1.0,
) -> dict[str, Result]:
    """The results by name, in the order given; as many workers as cores unless said otherwise.

    Workers are spawned, so that a script that calls this needs the usual ``if __name__ == "__main__":``. Ctrl-C, or
    any error, ends them at once.
    """
    jobs = [job for experiment in experiments for job in experiment.jobs(seeds, effort)]
    trials: dict[str, list[tuple[Job, Numbers]]] = {experiment.name: [] for experiment in experiments}
    with closing(_finished(jobs, workers or cores())) as finished:  # however it ends, so do the workers
        for done, (job, numbers) in enumerate(finished, 1):
            trials[job.experiment.name].append((job, numbers))
            if progress:
                progress(done, len(jobs), job)
    return {experiment.name: experiment.assemble(trials[experiment.name]) for experiment in experiments}


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _finished(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, Numbers]]:
    """Each job and what it measured, as they come."""
    if min(workers, len(jobs)) <= 1:
        for job in jobs:
            yield job, job.run()
        return
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_leave_ctrl_c)
    try:
        waiting = {pool.submit(job.run): job for job in jobs}
        for future in as_completed(waiting):
            yield waiting[future], future.result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
            worker.join()
        raise
    pool.shutdown()


def _leave_ctrl_c() -> None:
    """Ctrl-C reaches a whole group of processes; a worker leaves it to the one that started it, which ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
