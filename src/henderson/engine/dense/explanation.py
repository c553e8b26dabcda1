"""In a sentence: why a model is solved by the dense engine, and how large its V is."""

from __future__ import annotations

from henderson.covariance import ByUnit, Identity
from henderson.model import MixedModel

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def explain(model: MixedModel, size: int) -> str:
    """The structure that the dense engine was chosen by, for V over ``size`` coordinates."""
    related = [t.label for t in model.terms if not isinstance(t.relationship, Identity)]
    others = [t.label for t in model.terms if isinstance(t.relationship, Identity)]
    parts = []
    if related:
        parts.append(_counted(related, "relationship matrix", "relationship matrices"))
    if others:
        parts.append(_counted(others, "grouping factor", "grouping factors"))
    if any(term.codes.ndim == 2 for term in model.terms):
        parts.append("effects that point to different levels")
    if isinstance(model.residual, ByUnit):
        parts.append(f"residual='{model.residual.label}'")
    if model.weights is not None:
        parts.append("weights")
    if size < model.n:
        parts.append("repeated records")
        how = f"solved in {size:,} coordinates instead of {model.n:,} records"
    else:
        how = f"solved by the covariance matrix of {model.n:,} records"
    return f"dense: {_listed(parts)}, {how}"


def _counted(labels: list[str], one: str, several: str) -> str:
    count = _NUMBERS[len(labels)] if len(labels) < len(_NUMBERS) else str(len(labels))
    return f"{count} {one if len(labels) == 1 else several} ({', '.join(labels)})"


def _listed(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)
