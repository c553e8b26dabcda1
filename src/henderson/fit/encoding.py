"""Frozen dataclasses to JSON and arrays, and back: only classes that are listed, and every field checked."""

from __future__ import annotations

import collections.abc
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import cache
from math import isfinite
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.io.columns import Labels


class Encoder:
    """Values to JSON, with the arrays set apart.

    Parameters
    ----------
    classes : mapping of str to type
        The dataclasses that may occur, by the names that they have in the file.

    Attributes
    ----------
    arrays : list of ndarray
        What ``{"array": k}`` in the JSON refers to.

    Examples
    --------
    >>> encoder = Encoder({})
    >>> encoder.encode({"b": np.zeros(2), "names": ("x", "z")})
    {'dict': [['b', {'array': 0}], ['names', {'tuple': ['x', 'z']}]]}
    """

    def __init__(self, classes: Mapping[str, type]) -> None:
        self.names = {cls: name for name, cls in classes.items()}
        self.arrays: list[NDArray[Any]] = []

    def encode(self, value: Any) -> Any:
        """One value.

        Raises
        ------
        DataError
            For a type that a file cannot hold.
        """
        match value:
            case None | bool() | str():
                return value
            case np.generic():
                return self.encode(value.item())
            case int():
                return value
            case float():
                return value if isfinite(value) else {"float": repr(value)}
            case np.ndarray() if value.dtype.kind in "biuf":
                self.arrays.append(value)
                return {"array": len(self.arrays) - 1}
            case Labels() if value.values.dtype.kind in "biuf":
                return {"labels": self.encode(value.values)}
            case tuple() | Labels():
                return {"tuple": [self.encode(item) for item in value]}
            case list():
                return [self.encode(item) for item in value]
            case Mapping():
                return {"dict": [[self.encode(key), self.encode(held)] for key, held in value.items()]}
        if type(value) in self.names:
            held = {field.name: self.encode(getattr(value, field.name)) for field in fields(value)}
            return {"class": self.names[type(value)], "fields": held}
        raise DataError(f"a {type(value).__name__} cannot be written to a file")


class Decoder:
    """JSON and arrays to values.

    Parameters
    ----------
    classes : mapping of str to type
        The dataclasses that may be made.
    array : callable
        Gives the array of a number.
    """

    def __init__(self, classes: Mapping[str, type], array: Callable[[int], NDArray[Any]]) -> None:
        self.classes = classes
        self.array = array

    def decode(self, node: Any) -> Any:
        """One value.

        Raises
        ------
        DataError
            For anything that `Encoder.encode` does not write, or a field that does not hold what it should.
        """
        match node:
            case None | bool() | str() | int() | float():
                return node
            case list():
                return [self.decode(item) for item in node]
            case {"float": str(text), **rest} if not rest:
                return float(text)
            case {"array": int(k), **rest} if not rest:
                return self.array(k)
            case {"labels": held, **rest} if not rest:
                return Labels(_one_dimensional(self.decode(held)))
            case {"tuple": list(items), **rest} if not rest:
                return tuple(self.decode(item) for item in items)
            case {"dict": list(items), **rest} if not rest:
                return {self.decode(key): self.decode(held) for key, held in items}
            case {"class": str(name), "fields": dict(held), **rest} if not rest:
                return self._make(name, {key: self.decode(item) for key, item in held.items()})
        raise DataError("it holds something that this version cannot read")

    def _make(self, name: str, held: dict[str, Any]) -> Any:
        cls = self.classes.get(name)
        if cls is None:
            raise DataError(f"it holds a {name!r}, which no fit has")
        hints = _hints(cls)
        needed = {f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING}
        if not needed <= set(held) <= set(hints):
            raise DataError(f"its {name} has not the parts that it should have")
        for field, value in held.items():
            if not conforms(value, hints[field]):
                raise DataError(f"'{field}' of its {name} is not what it should be")
        return cls(**held)


@cache
def _hints(cls: type) -> dict[str, Any]:
    found = get_type_hints(cls)
    return {field.name: found[field.name] for field in fields(cls)}


def _one_dimensional(values: Any) -> NDArray[Any]:
    if not (isinstance(values, np.ndarray) and values.ndim == 1):
        raise DataError("its labels are not what they should be")
    return values


def conforms(value: Any, hint: Any) -> bool:
    """Whether a value is what a type hint says, inside containers too.

    Examples
    --------
    >>> conforms(("a", "b"), tuple[str, ...]), conforms(np.zeros(2), NDArray[np.int64])
    (True, False)
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(conforms(value, choice) for choice in arguments)
    if origin is Literal:
        return value in arguments
    if origin is np.ndarray:
        wanted = get_args(arguments[1])[0]
        return isinstance(value, np.ndarray) and (wanted is Any or np.issubdtype(value.dtype, wanted))
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if arguments[-1] is ...:
            return all(conforms(item, arguments[0]) for item in value)
        return len(value) == len(arguments) and all(map(conforms, value, arguments))
    if origin is collections.abc.Sequence:
        return isinstance(value, tuple | list | Labels) and all(conforms(v, arguments[0]) for v in value)
    if origin in (dict, collections.abc.Mapping):
        return isinstance(value, dict) and all(
            conforms(key, arguments[0]) and conforms(held, arguments[1]) for key, held in value.items()
        )
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint) if hint is not None else value is None
