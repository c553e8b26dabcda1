"""The call that made a fit, so that it can be repeated with changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from henderson.errors import HendersonError
from henderson.io.frame import open_table

DEFAULTS = {"REML": True, "na_action": "omit"}
BY_ROW = ("weights", "offset", "subset")
"""Arguments that may hold one value for each row of the table."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Call:
    """Formula and arguments of `lmer`, without the data.

    Attributes
    ----------
    formula : str
    arguments : mapping of str
        Keyword arguments that are not at their defaults. Values by row are NumPy arrays in the order of the
        table.
    left_out : tuple of str
        Arguments that were given and are too large to be kept in a file.

    Examples
    --------
    >>> Call("y ~ x + (1 | g)", {"REML": False})
    lmer('y ~ x + (1 | g)', data, REML=False)
    """

    formula: str
    arguments: Mapping[str, Any]
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, formula: str, data: Any, arguments: Mapping[str, Any]) -> Call:
        """Note a call; a pandas Series among the arguments is put in the order of the table."""
        given = _without_defaults(arguments)
        for name in BY_ROW:
            if name in given and not isinstance(given[name], str):
                values = np.asarray(open_table(data).aligned(given[name], name))
                if values.dtype.kind in "biuf":
                    given[name] = values
        return cls(formula, given)

    def changed(self, formula: str, changes: Mapping[str, Any]) -> Call:
        """The same call with another formula and with arguments replaced, or removed where they are None.

        A starting value belongs to its formula, and is dropped with it.
        """
        arguments = {**self.arguments, **changes}
        if formula != self.formula and "start" not in changes:
            arguments.pop("start", None)
        given = _without_defaults(arguments)
        return Call(formula, given, tuple(name for name in self.left_out if name not in changes))

    def without(self, name: str) -> Call:
        """The same call with one argument noted as left out, if it was given."""
        if name not in self.arguments:
            return self
        kept = {key: value for key, value in self.arguments.items() if key != name}
        return replace(self, arguments=kept, left_out=(*self.left_out, name))

    def check_complete(self) -> None:
        """Refuse to repeat a call of which an argument is not at hand.

        Raises
        ------
        HendersonError
            With the name of the argument.
        """
        if self.left_out:
            names = " and ".join(f"{name}=" for name in self.left_out)
            raise HendersonError(
                f"the model was fitted with {names}, which a file or pickle leaves out; give it again"
            )

    def __repr__(self) -> str:
        given = [f"{name}={_shown(value)}" for name, value in self.arguments.items()]
        given += [f"{name}=<left out>" for name in self.left_out]
        return f"lmer({', '.join([repr(self.formula), 'data', *given])})"


def _without_defaults(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in arguments.items()
        if value is not None and not (name in DEFAULTS and value == DEFAULTS[name])
    }


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"<{' x '.join(map(str, value.shape))} {value.dtype}>"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_shown(held)}" for key, held in value.items()) + "}"
    text = repr(value)
    return text if len(text) <= 60 and "\n" not in text else f"<{type(value).__name__}>"
