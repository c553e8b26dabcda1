"""A fit: its numbers, and the engine and data that further questions need."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from henderson.errors import HendersonError
from henderson.fit.call import Call
from henderson.fit.estimates import Estimates
from henderson.fit.numbers import FitNumbers
from henderson.fit.optimize import Control
from henderson.fit.satterthwaite import SatterthwaitePieces, satterthwaite_pieces
from henderson.fit.source import Source


class FittedModel(FitNumbers):
    """The numbers of a fit by name, its call, and its source.

    `henderson.lmm.LmerResult` is this with the questions that a user asks; those are written against this
    class. A pickle keeps the estimates, and what degrees of freedom need, and leaves out the source.
    """

    def __init__(
        self,
        estimates: Estimates,
        call: Call | None,
        source: Source | None,
        *,
        satterthwaite: SatterthwaitePieces | None = None,
    ) -> None:
        super().__init__(estimates)
        self._call = call
        self._source = source
        if satterthwaite is not None:
            self.satterthwaite = satterthwaite

    def __getstate__(self) -> dict[str, Any]:
        call = None if self._call is None else self._call.without("relationship")
        return {"_e": self._e, "_call": call, "_source": None, "satterthwaite": self.satterthwaite}

    def __repr__(self) -> str:
        kind = "REML" if self._e.reml else "ML"
        groups = ", ".join(f"{g} {n}" for g, n in self.ngroups.items())
        return f"<{type(self).__name__} {self._e.formula!r} by {kind}: {self.nobs} rows; {groups}>"

    @property
    def estimates(self) -> Estimates:
        """The plain numbers of the fit."""
        return self._e

    @property
    def call(self) -> Call | None:
        """The call of `lmer` that made this fit; None for a fit that another function made."""
        return self._call

    @property
    def control(self) -> Control | None:
        """Tolerance and limits of the search, if the call gave them."""
        return None if self._call is None else self._call.arguments.get("control")

    @property
    def engine(self) -> Any:
        """The engine at the data of this fit; a result read back from a pickle or file has none."""
        return self.source.fitted.engine

    @cached_property
    def satterthwaite(self) -> SatterthwaitePieces:
        """What Satterthwaite's degrees of freedom are made of; it stays with pickles and files."""
        return satterthwaite_pieces(self.source.fitted)

    @property
    def has_source(self) -> bool:
        """Whether engine and data are at hand."""
        return self._source is not None

    @property
    def source(self) -> Source:
        """The engine and the data of this fit.

        Raises
        ------
        HendersonError
            If the result was read back from a pickle or file.
        """
        if self._source is None:
            raise HendersonError(
                "this result was read back from a pickle or file, which leaves out the data: "
                "hd.load(path, data) brings a saved fit and its data together again"
            )
        return self._source
