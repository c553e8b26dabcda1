"""Chromosomes that some people have once: against PLINK 2's frequencies, and against loops over people."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gwas_reference import GWAS, needs_gwas_reference
from henderson.genotype import ArraySource, count_variants
from henderson.genotype.blocks import blocks
from henderson.genotype.chromosomes import Kind
from henderson.genotype.ploidy import sex_aware

#: Twelve men, twelve women, six of unknown sex.
SEX = np.repeat([1, 2, 0], [12, 12, 6]).astype(np.int8)
NAMES = ["1", "X", "X", "X", "Y", "Y", "MT", "MT", "XY", "0"]
CALLS = np.array(
    [
        [1,2,-1,2,0,1,1,0,2,-1,0,0, 1,0,-1,-1,-1,-1,-1,2,-1,1,2,-1, 0,0,0,2,-1,2],
        [0,2,2,-1,-1,2,-1,0,2,2,-1,0, 2,0,0,2,-1,-1,0,1,-1,2,0,-1, 1,2,2,2,0,-1],
        [2,1,2,-1,-1,1,0,0,2,-1,1,0, 0,2,-1,0,-1,-1,0,1,1,0,-1,2, 2,-1,-1,0,-1,2],
        [1,1,0,1,2,-1,2,-1,0,2,2,-1, 2,2,0,0,2,2,1,0,-1,2,0,1, 1,-1,0,1,-1,1],
        [0,0,-1,2,2,2,0,-1,-1,0,2,2, 2,1,2,0,0,2,-1,-1,-1,0,-1,2, 2,0,-1,1,-1,1],
        [-1,2,1,2,1,1,0,2,-1,-1,0,1, 0,2,2,0,0,1,1,0,1,2,1,0, 0,0,-1,-1,2,0],
        [2,2,-1,2,2,-1,-1,2,-1,2,2,2, 2,2,-1,0,2,2,2,-1,-1,0,0,-1, 2,-1,-1,-1,0,0],
        [1,0,1,1,1,-1,2,2,2,0,0,0, 0,-1,1,-1,2,-1,1,0,-1,2,0,2, -1,0,0,0,-1,1],
        [0,2,-1,0,-1,2,1,0,2,1,2,1, 1,1,-1,1,2,1,0,-1,1,-1,2,-1, 0,-1,1,-1,0,-1],
        [2,-1,-1,1,-1,2,2,0,0,0,1,0, 0,1,-1,2,0,2,0,0,2,1,-1,0, -1,2,0,-1,1,2],
    ],
    dtype=np.int8,
)  # fmt: skip
#: `plink2 --freq cols=+nobs` of these calls, without those that cannot be (PLINK counts them as half).
FREQUENCIES = [0.475, 0.558824, 0.464286, 0.527778, 0.555556, 0.6, 0.736842, 0.375, 0.5, 0.456522]
ALLELES = [40, 34, 28, 36, 9, 5, 19, 16, 42, 46]
#: 0, 1 and 2 copies among women, as `plink2 --hardy` (A1 was the other allele); PLINK 2 has none on Y and MT.
WOMEN = [[4, 1, 3], [4, 2, 2], [4, 2, 5]]


def on(names, calls, sex=SEX, position=None):
    source = ArraySource.of(calls)
    variants = replace(source.variants, chromosome=np.array(names))
    if position is not None:
        variants = replace(variants, position=np.array(position))
    return replace(source, samples=replace(source.samples, sex=np.asarray(sex, np.int8)), variants=variants)


def test_frequencies_are_those_of_plink2():
    aware = sex_aware(on(NAMES, CALLS))
    counts = count_variants(aware)
    assert counts.frequency == pytest.approx(FREQUENCIES, abs=5e-7)
    assert counts.n_alleles.tolist() == ALLELES
    assert counts.diploid[1:4].tolist() == WOMEN
    assert not counts.diploid[4:8].any()
    assert np.array_equal(counts.diploid[[0, 8, 9]], counts.copies[[0, 8, 9]])


def by_hand(call, kind, sex):
    """The definition: what becomes of one call, and how many alleles it counts for."""
    single = kind in {"Y", "MT"} or (kind == "X" and sex == 1)
    if call < 0 or (kind == "Y" and sex != 1) or (single and call == 1):
        return -1, 0
    return call, 1 if single else 2


@settings(deadline=None)
@given(
    calls=arrays(np.int8, (5, 9), elements=st.integers(-1, 2)),
    sex=arrays(np.int8, 9, elements=st.integers(0, 2)),
    people=st.permutations(range(9)).map(lambda p: p[:6]),
)
def test_definition(calls, sex, people):
    names = ["7", "X", "Y", "MT", "PAR1"]
    aware = sex_aware(on(names, calls, sex))
    people = np.array(people)
    before = calls.copy()
    counts = count_variants(aware, people)
    for j, name in enumerate(names):
        seen = [by_hand(int(calls[j, i]), name, sex[i]) for i in people]
        assert aware.read(slice(j, j + 1), people)[0].tolist() == [call for call, _ in seen]
        n_alleles = sum(weight for _, weight in seen)
        copies = sum(call * weight / 2 for call, weight in seen)
        assert counts.n_alleles[j] == n_alleles
        assert counts.frequency[j] == pytest.approx(copies / n_alleles if n_alleles else np.nan, nan_ok=True)
        rarer = min(copies, n_alleles - copies) if n_alleles else np.nan
        assert counts.minor_alleles[j] == pytest.approx(rarer, nan_ok=True)
        called = [call for call, _ in seen if call >= 0]
        assert counts.mean[j] == pytest.approx(np.mean(called) if called else np.nan, nan_ok=True)
        women = [call for (call, _), i in zip(seen, people, strict=True) if sex[i] == 2]
        judged = {"X": women, "Y": [], "MT": []}.get(name, called)
        assert counts.diploid[j].tolist() == [judged.count(k) for k in range(3)]
    assert np.array_equal(calls, before)


def test_dosages_stay_but_on_the_y_of_women():
    dosages = np.array([[0.3, 1.0, 0.7, np.nan]] * 3, dtype=np.float32)
    aware = sex_aware(on(["X", "Y", "MT"], dosages, [1, 1, 2, 0]))
    assert not aware.samples.sex[3]
    assert aware.has_dosages
    x, y, mt = aware.read(slice(0, 3))
    np.testing.assert_array_equal(x, dosages[0])
    np.testing.assert_array_equal(y, np.float32([0.3, 1.0, np.nan, np.nan]))
    np.testing.assert_array_equal(mt, dosages[0])
    counts = count_variants(aware)
    assert counts.frequency == pytest.approx([(0.15 + 0.5 + 0.7) / 4, 0.325, 1 / 3], abs=1e-7)


def test_what_becomes_missing_is_said(caplog):
    with caplog.at_level(logging.INFO, logger="henderson"):
        sex_aware(on(NAMES, CALLS))
    assert "the sex of 6 of 30 people is not known: they count as women on X and Y" in caplog.text
    assert "6 heterozygous calls of men on X, at 2 variants; all of X counts as outside" in caplog.text
    assert "32 calls of women, or heterozygous ones, on Y, at 2 variants" in caplog.text
    assert "7 heterozygous calls in mitochondria, at 1 variant" in caplog.text


def test_nothing_to_say(caplog):
    with caplog.at_level(logging.INFO, logger="henderson"):
        sex_aware(on(["1", "22", "0"], CALLS[:3]))
        sex_aware(on(["X"], np.where(CALLS[:1] == 1, 2, CALLS[:1])[:, :24], SEX[:24]))
    assert not caplog.text


def test_the_build_spares_the_pseudo_autosomal_region(caplog):
    source = on(["X", "X"], CALLS[2:4], position=[60_001, 5_000_000])
    with caplog.at_level(logging.INFO, logger="henderson"):
        aware = sex_aware(source, build="hg38")
    assert aware.variants.kind.tolist() == [Kind.PAR, Kind.X]
    assert np.array_equal(aware.read(slice(0, 1)), CALLS[2:3])
    assert "3 heterozygous calls of men on X, at 1 variant" in caplog.text
    assert "since the build" not in caplog.text


def test_other_species(caplog):
    with caplog.at_level(logging.INFO, logger="henderson"):
        aware = sex_aware(on(["23", "29"], CALLS[:2]))
    assert "there is a chromosome 29, so that every chromosome with a number counts" in caplog.text
    assert np.array_equal(aware.read(slice(0, 2)), CALLS[:2])


def test_autosomes_are_read_as_they_are():
    """Not even copied."""
    source = on(["1", "X"], CALLS[:2])
    assert np.shares_memory(sex_aware(source).read(slice(0, 1)), source.calls)


def test_blocks_of_several_kinds_do_not_matter():
    aware = sex_aware(on(NAMES, CALLS))
    whole = count_variants(aware)
    for size in (1, 3, 7):
        parts = [block.counts.frequency for block in blocks(aware, size=size)]
        assert np.array_equal(np.concatenate(parts), whole.frequency)


@needs_gwas_reference
def test_info_is_that_of_plink2():
    """`plink2 --freq cols=+machr2` prints six digits."""
    pytest.importorskip("pgenlib")
    from henderson.io.pgen import open_pgen

    counts = count_variants(open_pgen(GWAS / "data/formats/hm3_c22_ds"))
    assert counts.info[:3] == pytest.approx([1.02245, 1.01447, 1.02798], abs=5e-6)


def test_info():
    """Known genotypes in equilibrium have all of their variance, dosages at the mean none."""
    dosages = np.float32([[0, 1, 1, 2], [0.9, 1.1, 0.9, 1.1], [1, 1, 1, 1], [0, 0, 0, 0], [np.nan] * 4])
    found = count_variants(ArraySource.of(dosages)).info
    assert found[:3] == pytest.approx([1.0, 0.02, 0.0], abs=1e-6)
    assert np.isnan(found[3:]).all()


def test_info_where_everybody_has_one_copy():
    aware = sex_aware(on(["MT"], np.float32([[0, 0, 2, 2]]), [1, 2, 1, 2]))
    assert count_variants(aware).info == pytest.approx([1.0])
