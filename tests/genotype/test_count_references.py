"""Frequencies and missing calls of every variant: PLINK 2's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gwas_reference import GWAS, needs_gwas_reference
from henderson.genotype import count_variants
from henderson.io.plink1 import open_plink1


@needs_gwas_reference
def test_plink2():
    source = open_plink1(GWAS / "data/formats/hm3")
    expected = GWAS / "expected/formats/plink2"
    frequency, missing = (
        pd.read_csv(expected / f"hm3.{name}.gz", sep="\t").set_index("ID").loc[source.variants.identifier]
        for name in ("afreq", "vmiss")
    )
    counts = count_variants(source)
    assert np.array_equal(counts.n_missing, missing["MISSING_CT"])
    assert np.array_equal(counts.n_alleles, frequency["OBS_CT"])
    assert missing["MISSING_CT"].sum() > 0
    flipped = frequency["ALT"].to_numpy() != source.variants.effect_allele
    ours = np.where(flipped, 1 - counts.frequency, counts.frequency)
    assert ours == pytest.approx(frequency["ALT_FREQS"].to_numpy(), abs=5.1e-7)
