"""Bootstrap replicates in a file, so that a run that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.fit import FittedModel
from henderson.inference.bootstrap.statistics import Drawn
from henderson.io.whole_files import whole_files

Array = NDArray[np.float64]
VERSION = 1


@dataclass(frozen=True, slots=True)
class Run:
    """What makes two runs the same.

    Attributes
    ----------
    formula : str
    data : str
        Digest of all arrays of the model.
    point : tuple of float
        Theta, fixed effects and sigma, around which responses are drawn.
    names : tuple of str
        Of the statistic.
    estimate : tuple of float
        The statistic of the fit itself.
    seed : int
    use_random : bool
    """

    formula: str
    data: str
    point: tuple[float, ...]
    names: tuple[str, ...]
    estimate: tuple[float, ...]
    seed: int
    use_random: bool

    @classmethod
    def of(
        cls, fit: FittedModel, names: tuple[str, ...], estimate: Array, *, seed: int, use_random: bool
    ) -> Run:
        """The run for a fit."""
        point = (*fit.theta.tolist(), *fit.estimates.beta.tolist(), fit.sigma)
        kind = "REML" if fit.reml else "ML"
        return cls(
            f"{fit.formula} by {kind}", _digest(fit), point, names, tuple(estimate.tolist()), seed, use_random
        )

    def check(self, other: Run, path: Path) -> None:
        """Refuse the replicates of another run.

        Raises
        ------
        DataError
            With what differs.
        """
        same_fit = (
            self.formula == other.formula and self.data == other.data and _close(self.point, other.point)
        )
        if not same_fit:
            raise DataError(
                f"{path} has the replicates of another fit ('{other.formula}'): bootstrap that one, or give "
                "another path"
            )
        if self.names != other.names or not _close(self.estimate, other.estimate):
            raise DataError(
                f"{path} has the replicates of another statistic ({', '.join(other.names)}): ask for that "
                "one, or give another path"
            )
        for name in ("use_random", "seed"):
            if getattr(self, name) != getattr(other, name):
                raise DataError(
                    f"{path} was made with {name}={getattr(other, name)}: give the same, or another path"
                )


@dataclass(frozen=True, slots=True, eq=False)
class Replicates:
    """Replicates of a run, as they come.

    Attributes
    ----------
    run : Run
    values : ndarray, (n, m)
    singular, done : ndarray of bool, (n,)
    problems : ndarray of str, (n,)
    """

    run: Run
    values: Array
    singular: NDArray[np.bool_]
    done: NDArray[np.bool_]
    problems: NDArray[np.object_]

    @classmethod
    def empty(cls, run: Run, n: int) -> Replicates:
        """None of n replicates is done."""
        no = np.zeros(n, dtype=bool)
        return cls(run, np.full((n, len(run.names)), np.nan), no, no.copy(), np.full(n, "", dtype=object))

    def put(self, first: int, drawn: Drawn) -> None:
        """Note replicates from number `first` on."""
        own = slice(first, first + len(drawn.problems))
        self.values[own], self.singular[own] = drawn.values, drawn.singular
        self.problems[own], self.done[own] = drawn.problems, True

    def continued(self, earlier: Replicates, path: Path) -> Replicates:
        """What an earlier run has done, with places for at least as many replicates as here.

        Raises
        ------
        DataError
            If that run was another one.
        """
        self.run.check(earlier.run, path)
        out = Replicates.empty(self.run, max(self.done.size, earlier.done.size))
        for name in ("values", "singular", "done", "problems"):
            getattr(out, name)[: earlier.done.size] = getattr(earlier, name)
        return out


def write(path: Path, replicates: Replicates) -> None:
    """Write the file; it takes the place of an older one when it is complete."""
    about = {"version": VERSION, **asdict(replicates.run), "problems": replicates.problems.tolist()}
    with whole_files(path) as [file]:
        np.savez(
            file,
            about=np.array(json.dumps(about)),
            values=replicates.values,
            singular=replicates.singular,
            done=replicates.done,
        )


def read(path: Path) -> Replicates:
    """Read a file that `write` made.

    Raises
    ------
    DataError
        If it is another file.
    """
    try:
        with np.load(path, allow_pickle=False) as parts:
            about: dict[str, Any] = json.loads(str(parts["about"]))
            if about.pop("version") != VERSION:
                raise ValueError
            problems = np.array(about.pop("problems"), dtype=object)
            fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in about.items()}
            return Replicates(Run(**fields), parts["values"], parts["singular"], parts["done"], problems)
    except (ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, EOFError):
        raise DataError(
            f"{path} is no file of bootstrap replicates that this version wrote: give another path"
        ) from None
    except OSError as problem:
        raise DataError(f"{path} cannot be read: {problem.strerror or problem}") from None


def _digest(fit: FittedModel) -> str:
    model = fit.engine.model
    arrays = [model.y, model.X]
    for term in model.terms:
        arrays += [term.codes, term.z]
    if model.weights is not None:
        arrays.append(model.weights)
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _close(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    """Whether numbers agree as far as those of one fit on two machines do."""
    return len(a) == len(b) and bool(np.allclose(a, b, rtol=1e-5, atol=1e-7, equal_nan=True))
