"""Bootstrap replicates of one fit, here or in several processes, a batch at a time."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from henderson.errors import DataError, HendersonError
from henderson.fit import FittedModel
from henderson.inference.bootstrap.statistics import Drawn, Statistic
from henderson.prediction.simulate import Simulator


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """All that a replicate depends on, besides its number.

    Attributes
    ----------
    parts : tuple
        Class, estimates, call and source of the fit; the fit itself would leave out its source when pickled.
    statistic : Statistic
    seed : int
    use_random : bool
    """

    parts: tuple[type[FittedModel], Any, Any, Any]
    statistic: Statistic
    seed: int
    use_random: bool

    @classmethod
    def of(cls, fit: FittedModel, statistic: Statistic, *, seed: int, use_random: bool) -> Job:
        """The job for a fit."""
        return cls((type(fit), fit.estimates, fit.call, fit.source), statistic, seed, use_random)


class Bench:
    """A job made ready: the fit, and what its responses are drawn from."""

    def __init__(self, job: Job) -> None:
        kind, *parts = job.parts
        self.fit = kind(*parts)
        self.job = job
        self.simulator = Simulator.of(self.fit, use_random=job.use_random)

    def batch(self, first: int, n: int) -> Drawn:
        """Replicates `first` to ``first + n - 1``."""
        Y = self.simulator.draw(n, seed=self.job.seed, first=first)
        return self.job.statistic.of_responses(self.fit, Y)


def run_batches(job: Job, batches: Sequence[tuple[int, int]], workers: int) -> Iterator[tuple[int, Drawn]]:
    """Work through batches (first, number of replicates), and give each as soon as it is done.

    Raises
    ------
    HendersonError
        If a worker died, or if the statistic cannot be sent to one.
    """
    if workers == 1 or len(batches) < 2:
        bench = Bench(job)
        for first, n in batches:
            yield first, bench.batch(first, n)
        return
    pool = ProcessPoolExecutor(min(workers, len(batches)), initializer=_prepare, initargs=(_sendable(job),))
    try:
        waiting = {pool.submit(_batch, first, n): first for first, n in batches}
        for future in as_completed(waiting):
            yield waiting[future], future.result()
    except BrokenProcessPool:
        raise HendersonError(
            "a worker process of the bootstrap ended before its work was done, perhaps for want of memory: "
            "take fewer workers (and in a script, call bootstrap under if __name__ == '__main__':)"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _sendable(job: Job) -> bytes:
    try:
        return pickle.dumps(job)
    except (pickle.PicklingError, AttributeError, TypeError) as problem:
        raise DataError(
            f"the statistic cannot be sent to worker processes ({problem}): define it with def at the top of "
            "a module, or take workers=1"
        ) from None


_bench: list[Bench] = []


def _prepare(job: bytes) -> None:
    """Begin a worker: it has one processor, and the others are at work too."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    _bench.append(Bench(pickle.loads(job)))


def _batch(first: int, n: int) -> Drawn:
    return _bench[0].batch(first, n)
