"""The parametric bootstrap: responses drawn from a fit, and the model fitted to each of them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.fit import FittedModel
from henderson.fit.arguments import check_level
from henderson.inference.bootstrap.file import Replicates, Run, read, write
from henderson.inference.bootstrap.statistics import make_statistic
from henderson.inference.bootstrap.workers import Job, run_batches
from henderson.inference.parameters import chosen

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Method = Literal["percentile", "basic", "normal"]
#: Large data make small batches, for memory and so that every worker has some: of about so many numbers,
NUMBERS = 1_000_000
#: but of no fewer responses than these.
LEAST = 20
logger = logging.getLogger("henderson")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Bootstrap:
    """Numbers made from a fit, and from fits to responses drawn from it.

    Attributes
    ----------
    estimate : Series
        Of the fit itself.
    replicates : DataFrame
        One row per replicate, in the order of their numbers; NaN in rows that failed, and where a number is
        not defined (a correlation beside a variance of zero).
    singular : ndarray of bool, (n,)
        Replicates that are singular fits. They count like all others.
    problems : ndarray of str, (n,)
        Why a replicate failed; empty for those that did not.
    seed : int
        With this seed the same replicates come again.
    use_random : bool
        Whether the random effects were kept at their modes.
    """

    estimate: pd.Series[float]
    replicates: pd.DataFrame
    singular: NDArray[np.bool_]
    problems: NDArray[np.object_]
    seed: int
    use_random: bool

    @property
    def n(self) -> int:
        """Number of replicates, those that failed included."""
        return self.singular.size

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Which replicates failed."""
        return np.asarray(self.problems != "")

    @property
    def std_error(self) -> pd.Series[float]:
        """Standard deviations of the replicates."""
        return self.replicates.std()

    @property
    def bias(self) -> pd.Series[float]:
        """Mean of the replicates less the estimate."""
        return self.replicates.mean() - self.estimate

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know: replicates that failed, that are singular, numbers not defined."""
        return tuple(_notices(self))

    def __repr__(self) -> str:
        counts = f"{int(self.singular.sum())} singular, {int(self.failed.sum())} failed"
        return f"<Bootstrap of {len(self.estimate)} numbers: {self.n} replicates; {counts}>"

    def confint(
        self,
        level: float = 0.95,
        *,
        which: str | Sequence[str] | None = None,
        method: Method = "percentile",
    ) -> pd.DataFrame:
        """Intervals.

        Parameters
        ----------
        level : float
            Coverage.
        which : str or list of str, optional
            Numbers; all by default.
        method : {"percentile", "basic", "normal"}
            Quantiles of the replicates; those mirrored at the estimate; or the estimate less the bias, and
            the normal quantile times the standard error. Davison & Hinkley (1997), Bootstrap Methods and
            their Application, section 5.2; quantiles between two replicates by their eq. 5.8, as R's
            ``boot.ci``.

        Returns
        -------
        DataFrame
            Columns lower and upper.

        Raises
        ------
        DataError
            For a number that there is not, another method, or replicates too few for the level.
        """
        import pandas as pd

        check_level(level)
        if method not in ("percentile", "basic", "normal"):
            raise DataError(f"method must be 'percentile', 'basic' or 'normal'; it is {method!r}")
        names = chosen(dict.fromkeys(self.estimate.index), which)
        tails = (0.5 - 0.5 * level, 0.5 + 0.5 * level)
        rows = []
        for name in names:
            t, own = self.replicates[name].to_numpy(), float(self.estimate[name])
            t = np.sort(t[np.isfinite(t)])
            if t.size < 2:
                rows.append((np.nan, np.nan))
            elif method == "normal":
                rows.append(_normal(t, own, tails[1]))
            else:
                low, high = (_quantile(t, p, level) for p in tails)
                rows.append((low, high) if method == "percentile" else (2.0 * own - high, 2.0 * own - low))
        return pd.DataFrame(rows, index=names, columns=["lower", "upper"])


def _normal(t: Array, own: float, upper: float) -> tuple[float, float]:
    from scipy.special import ndtri

    centre, half = 2.0 * own - float(t.mean()), float(ndtri(upper) * t.std(ddof=1))
    return centre - half, centre + half


def _quantile(t: Array, p: float, level: float) -> float:
    """Quantile p of sorted replicates: number p (R + 1), or between two along the normal distribution."""
    from scipy.special import ndtri

    at = (t.size + 1) * p
    k = int(np.floor(at + 1e-9))
    if k < 1 or k > t.size or (k == t.size and at > k + 1e-9):
        needed = int(np.ceil(2.0 / (1.0 - level) - 1e-9)) - 1
        raise DataError(
            f"{t.size} replicates are too few for the {level:.12g} interval, which takes {needed} at least: "
            "draw more, or take method='normal'"
        )
    if abs(at - k) < 1e-9:
        return float(t[k - 1])
    low, here, high = ndtri(np.array([k / (t.size + 1), p, (k + 1) / (t.size + 1)]))
    return float(t[k - 1] + (here - low) / (high - low) * (t[k] - t[k - 1]))


def bootstrap(
    fit: FittedModel,
    statistic: Callable[[Any], Any] | str | Sequence[str] | None = None,
    *,
    n: int = 1000,
    seed: int | None = None,
    use_random: bool = False,
    workers: int = 1,
    progress: bool = False,
    resume: str | PathLike[str] | None = None,
) -> Bootstrap:
    """Draw responses from a fit, fit the model to each, and keep what a statistic makes of these fits.

    Lme4's `bootMer`. Replicate i depends on the seed and i alone, whatever the number of workers.

    Parameters
    ----------
    fit : FittedModel
    statistic : callable, str or list of str, optional
        A function of a fit that returns a number, an array, or a mapping of numbers by name; or ``"icc"``,
        ``"heritability"``, ``"r2"``, or names of parameters such as ``"sd_Days|Subject"``. By default all
        standard deviations and correlations, sigma, the fixed effects, the ICC and, with a relationship
        matrix, h2. Parameters are much faster than a function.
    n : int
        Number of replicates.
    seed : int, optional
        None takes another one at each call; the result has it.
    use_random : bool
        Keep the random effects at their conditional modes, and draw residuals only.
    workers : int
        Number of processes.
    progress : bool
        Show a bar on standard error.
    resume : path, optional
        A file that replicates are written to as they come. If it is there, with replicates of the same fit,
        statistic and seed, they are taken over.

    Returns
    -------
    Bootstrap

    Raises
    ------
    DataError
        For an unknown name, a statistic that does not return numbers, or a file of another run.
    HendersonError
        If the fit has no rows, or no engine.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days || Subject)", hd.example_data("sleepstudy"))
    >>> found = bootstrap(fit, n=200, seed=1)
    >>> found.confint(0.9, which="Days").round(1)
          lower  upper
    Days    7.6   12.8
    """
    for name, value, least in (("n", n, 1), ("workers", workers, 1), ("seed", seed, 0)):
        if value is not None and (not isinstance(value, int | np.integer) or value < least):
            raise DataError(f"{name} must be a whole number, {least} or more; it is {value!r}")
    made = make_statistic(fit, statistic)
    estimate = made.estimate(fit)
    path = None if resume is None else Path(resume)
    earlier = read(path) if path is not None and path.exists() else None
    if seed is None:
        seed = earlier.run.seed if earlier else cast(int, np.random.SeedSequence().entropy)
    run = Run.of(fit, made.names, estimate, seed=int(seed), use_random=use_random)
    replicates = Replicates.empty(run, n)
    if path is not None and earlier is not None:
        replicates = replicates.continued(earlier, path)
    job = Job.of(fit, made, seed=run.seed, use_random=use_random)
    # The same batches whatever is done already, so that no rounding depends on where a run was stopped
    size = min(made.chunk, max(LEAST, NUMBERS // fit.nobs))
    batches = [(first, min(size, n - first)) for first in range(0, n, size)]
    left = [(first, k) for first, k in batches if not replicates.done[first : first + k].all()]
    with _bar(n, n - sum(k for _, k in left), show=progress) as advance:
        for first, drawn in run_batches(job, left, workers):
            replicates.put(first, drawn)
            if path is not None:
                write(path, replicates)
            advance(len(drawn.problems))
    found = _result(replicates, n)
    for notice in found.notices:
        logger.warning(notice)
    return found


def _result(replicates: Replicates, n: int) -> Bootstrap:
    import pandas as pd

    run = replicates.run
    return Bootstrap(
        estimate=pd.Series(run.estimate, index=list(run.names)),
        replicates=pd.DataFrame(replicates.values[:n], columns=list(run.names)),
        singular=replicates.singular[:n],
        problems=replicates.problems[:n],
        seed=run.seed,
        use_random=run.use_random,
    )


def _notices(found: Bootstrap) -> Iterator[str]:
    n = found.n
    for problem, count in Counter(found.problems[found.failed].tolist()).items():
        yield f"{count} of {n} bootstrap replicates failed and are left out: {problem}"
    singular = int(found.singular.sum())
    if singular:
        yield (
            f"{singular} of {n} bootstrap replicates are singular fits, with a variance of zero or a perfect "
            "correlation; they count like all others"
        )
    defined = found.replicates.loc[~found.failed].notna().sum()
    for name, count in defined[defined < n - int(found.failed.sum())].items():
        missing = n - int(found.failed.sum()) - int(count)
        yield f"'{name}' is not defined in {missing} of {n} bootstrap replicates, which are left out for it"


@contextmanager
def _bar(total: int, done: int, *, show: bool) -> Iterator[Callable[[int], None]]:
    """A bar on standard error; or nothing."""
    if not show:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("bootstrap"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("bootstrap", total=total, completed=done)
        yield lambda count: bar.advance(task, count)
