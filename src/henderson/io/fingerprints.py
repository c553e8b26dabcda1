"""Whether a file is still what it was."""

import time
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

#: Files up to this size are known by their content, larger ones by size and time.
_READ = 1 << 24
#: What stands behind a prefix that names several files.
_ENDINGS = (
    ".bed", ".bim", ".fam", ".pgen", ".pvar", ".pvar.zst", ".psam", ".bgen", ".sample", ".grm.bin", ".grm.id",
    ".grm.N.bin",
)  # fmt: skip


def fingerprint(path: Path) -> str:
    """What tells a file, or a folder with all that is in it, from another one.

    Parameters
    ----------
    path : Path
        A file or folder.

    Returns
    -------
    str
        Its size and a hash of the content, or size and time of the last change of more than 16 MB. A pipe can
        be read only once, and by somebody else: it is never the same as another one.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.txt"
    >>> _ = path.write_text("1 2")
    >>> before = fingerprint(path)
    >>> _ = path.write_text("1 3")
    >>> before == fingerprint(path)
    False
    """
    if path.is_dir():
        inside = sorted(each for each in path.rglob("*") if each.is_file())
        digest = blake2b(digest_size=8)
        for each in inside:
            stat = each.stat()
            digest.update(f"{each.relative_to(path)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
        return f"{len(inside)} files, {digest.hexdigest()}"
    if not path.is_file():
        return f"a pipe, {time.time_ns()}"
    stat = path.stat()
    if stat.st_size > _READ:
        return f"{stat.st_size} bytes, written {stat.st_mtime_ns}"
    return f"{stat.st_size} bytes, {blake2b(path.read_bytes(), digest_size=8).hexdigest()}"


def files_of(named: Iterable[str | None]) -> list[Path]:
    """The files behind names: these themselves, and those of filesets whose prefix or member they are.

    Parameters
    ----------
    named : iterable of str or None
        Paths, prefixes, or None for what was not given.

    Returns
    -------
    list of Path
        Those that exist, each once.
    """
    found: dict[Path, None] = {}
    for name in filter(None, named):
        prefix = next((name.removesuffix(end) for end in _ENDINGS if name.endswith(end)), name)
        for each in (name, *(f"{prefix}{end}" for end in _ENDINGS)):
            if Path(each).exists():
                found[Path(each)] = None
    return list(found)
