"""Names of files: those that are close to one that is not there, and those that stand beside one."""

from __future__ import annotations

from pathlib import Path


def nearby(path: Path) -> str:
    """End the sentence "There is no file {path}" with a file of the same folder whose name is close."""
    from difflib import get_close_matches

    if not path.parent.is_dir():
        return f": there is no folder {path.parent} either."
    names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    close = get_close_matches(path.name, names, n=1, cutoff=0.75)
    return f"; did you mean {path.with_name(close[0])}?" if close else "."


def beside(prefix: Path, ending: str) -> Path:
    """The file called like the prefix, with an ending added; dots in the prefix stay."""
    return prefix.parent / (prefix.name + ending)
