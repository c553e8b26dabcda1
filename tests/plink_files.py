"""Write small PLINK 1 filesets for tests: arrays in, .bed, .bim and .fam out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from henderson.genotype.source import Samples, Variants

#: The two bits of a call in a .bed file, by the number of copies of the effect allele (A1); -1 is missing.
_CODE = {2: 0b00, -1: 0b01, 1: 0b10, 0: 0b11}


def write_plink(
    prefix: str | Path,
    genotypes: ArrayLike,
    *,
    samples: Samples | Sequence[tuple[str, str]] | None = None,
    variants: Variants | Sequence[tuple[str, str, int, str, str]] | None = None,
) -> Path:
    """Write ``prefix.bed``, ``.bim`` and ``.fam``; give the prefix back.

    ``genotypes`` (m, n) counts copies of the effect allele, -1 where it is missing. ``samples`` are pairs
    (FID, IID), by default ("f1", "i1"), ...; ``variants`` are (chromosome, id, position, effect allele,
    other allele), by default ("1", "v1", 1000, "A", "G"), ("1", "v2", 2000, ...), ...
    """
    prefix = Path(prefix)
    calls = np.asarray(genotypes, dtype=np.int8)
    m, n = calls.shape
    people = _people(samples, n)
    sites = _sites(variants, m)
    if (len(people), len(sites)) != (n, m):
        raise ValueError(
            f"{len(people)} people and {len(sites)} variants for genotypes of shape {calls.shape}"
        )
    content = bytearray(b"\x6c\x1b\x01")
    for row in calls.tolist():
        for start in range(0, n, 4):
            content.append(sum(_CODE[call] << 2 * k for k, call in enumerate(row[start : start + 4])))
    _beside(prefix, ".bed").write_bytes(bytes(content))
    _beside(prefix, ".fam").write_text("".join(f"{fid}\t{iid}\t0\t0\t0\t-9\n" for fid, iid in people))
    _beside(prefix, ".bim").write_text(
        "".join(f"{chrom}\t{name}\t0\t{position}\t{a1}\t{a2}\n" for chrom, name, position, a1, a2 in sites)
    )
    return prefix


def random_genotypes(
    m: int, n: int, *, seed: int = 0, missing: float = 0.0, low: float = 0.05, high: float = 0.95
) -> np.ndarray:
    """Unlinked genotypes (m, n) int8 with effect allele frequencies between ``low`` and ``high``."""
    rng = np.random.default_rng(seed)
    calls = rng.binomial(2, rng.uniform(low, high, (m, 1)), (m, n)).astype(np.int8)
    calls[rng.random((m, n)) < missing] = -1
    return calls


def _beside(prefix: Path, ending: str) -> Path:
    return prefix.parent / (prefix.name + ending)


def _people(samples, n):
    if samples is None:
        return [(f"f{i}", f"i{i}") for i in range(1, n + 1)]
    if isinstance(samples, Samples):
        return list(zip(samples.fid, samples.iid, strict=True))
    return list(samples)


def _sites(variants, m):
    if variants is None:
        return [("1", f"v{j}", 1000 * j, "A", "G") for j in range(1, m + 1)]
    if isinstance(variants, Variants):
        v = variants
        return list(zip(v.chromosome, v.identifier, v.position, v.effect_allele, v.other_allele, strict=True))
    return list(variants)
