"""Genotypes as PLINK 2 writes them in plain text (--export A): the ground truth of the format files."""

from __future__ import annotations

import gzip

import numpy as np

from gwas_reference import GWAS

FORMATS = GWAS / "data" / "formats"


def assert_same_as_raw(source, name: str, *, within: float) -> None:
    """Compare people, variants and genotypes of a source with ``expected/formats/plink2/NAME.raw.gz``.

    Its columns are called after the variant and the allele that is counted, which need not be the effect
    allele of the source.
    """
    with gzip.open(GWAS / "expected" / "formats" / "plink2" / f"{name}.raw.gz", "rt") as file:
        header, *rows = [line.split() for line in file]
    names, counted = zip(*(column.rsplit("_", 1) for column in header[6:]), strict=True)
    theirs = np.array([[float(text.replace("NA", "nan")) for text in row[6:]] for row in rows]).T
    assert source.samples.iid.tolist() == [row[1] for row in rows]
    assert source.variants.identifier.tolist() == list(names)
    flipped = np.array(counted) != source.variants.effect_allele
    assert (source.variants.other_allele[flipped] == np.array(counted)[flipped]).all()
    ours = source.read(slice(0, len(names)))
    assert ours.dtype == (np.float32 if source.has_dosages else np.int8)
    ours = ours.astype(float)
    if not source.has_dosages:
        ours[ours < 0] = np.nan
    ours[flipped] = 2 - ours[flipped]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=within, equal_nan=True)
