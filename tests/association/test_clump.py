"""Clumps against PLINK 1.9's, and their r2 against a search of the likelihood."""

from __future__ import annotations

import logging
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gwas_reference import GWAS, needs_gwas_reference
from henderson.association.clump import clump
from henderson.association.haplotypes import haplotype_r2, hard_calls, joint_counts
from henderson.errors import DataError
from henderson.genotype import ArraySource, Variants
from henderson.io.plink1 import open_plink1
from henderson.io.sumstats import read_sumstats

COUNTS = ["total", "nsig", "s05", "s01", "s001", "s0001"]
#: PLINK 1.9.0-b6.26, --clump-p1 1e-3 --clump-p2 0.01 --clump-r2 0.3 --clump-kb 10, on `linked`: SNP, P,
#: TOTAL, NSIG, S05, S01, S001, S0001, SP2.
PLINK = """\
v16 1.18e-08 4 0 1 1 0 2 v15,v17,v18
v56 1.39e-08 5 0 0 0 1 4 v54,v55,v57,v58,v59
v3 1.81e-08 4 1 2 0 0 1 v1
v46 3.13e-08 4 2 1 0 0 1 v45
v24 3.75e-08 4 0 0 1 0 3 v22,v23,v25,v26
v20 5.47e-08 2 0 1 0 0 1 v21
v13 5.54e-08 3 1 0 0 0 2 v11,v12
v53 6.53e-08 2 0 0 1 1 0 v51,v52
v39 9.83e-08 2 1 1 0 0 0 NONE
v35 3.2e-07 3 0 1 0 1 1 v34,v36
v50 4.42e-07 1 0 0 0 0 1 v49
v29 1.36e-06 4 0 1 2 0 1 v27,v28,v31
v9 1.36e-06 3 0 0 2 0 1 v6,v7,v8
v42 3.48e-06 3 0 1 1 0 1 v40,v41
v0 1.11e-05 0 0 0 0 0 0 NONE
v32 0.000511 0 0 0 0 0 0 NONE"""


def linked():
    """Sixty variants on two chromosomes, neighbours correlated, calls missing; and p-values."""
    rng = np.random.default_rng(11)
    m, n = 60, 80
    calls = np.zeros((m, n), np.int8)
    for _ in range(2):
        haplotype = rng.random(n) < 0.4
        for v in range(m):
            fresh = rng.random(n) < 0.18
            haplotype = np.where(fresh, rng.random(n) < 0.35, haplotype)
            calls[v] += haplotype
    calls[rng.random((m, n)) < 0.05] = -1
    p = 10.0 ** -rng.uniform(0, 8, m)
    names = np.array([f"v{v}" for v in range(m)])
    chromosome = np.where(np.arange(m) < 40, "1", "2")
    alleles = np.full(m, "A"), np.full(m, "G")
    variants = Variants(chromosome, 1000 * np.arange(1, m + 1), names, *alleles)
    source = ArraySource(calls, ArraySource.of(calls).samples, variants)
    table = pd.DataFrame({"rsid": names, "p_value": p})
    return source, table


RULES = {"p1": 1e-3, "p2": 0.01, "r2": 0.3, "kb": 10}


def test_clumps_of_plink():
    source, table = linked()
    found = clump(table, source, **RULES)
    rows = [line.split() for line in PLINK.splitlines()]
    assert found["rsid"].tolist() == [row[0] for row in rows]
    assert np.allclose(found["p_value"], [float(row[1]) for row in rows], rtol=5e-3)
    assert found[COUNTS].to_numpy().tolist() == [[int(cell) for cell in row[2:8]] for row in rows]
    assert found["members"].tolist() == [row[8].replace("NONE", "") for row in rows]
    assert found["chromosome"].tolist()[:3] == ["1", "2", "1"]
    assert found["base_pair_location"].tolist()[:2] == [17000, 57000]


def test_p_on_a_bound_counts_as_plink_counts_it():
    """PLINK 1.9.0-b6.26 on such variants: NSIG, S05, S01 and S001 are one each, S0001 none, SP2 4 and 5."""
    calls = np.random.default_rng(1).integers(0, 3, 50)
    p = [1e-9, 0.05, 0.01, 0.001, 0.0001]
    table = pd.DataFrame({"rsid": [str(k + 1) for k in range(5)], "p_value": p})
    found = clump(table, ArraySource.of([calls] * 5))
    assert found[COUNTS].to_numpy().tolist() == [[4, 1, 1, 1, 1, 0]]
    assert found["members"].tolist() == ["4,5"]
    assert len(clump(table[1:], ArraySource.of([calls] * 5))) == 1  # p1 itself may start a clump


def test_the_order_of_the_table_and_what_it_calls_variants_do_not_matter():
    source, table = linked()
    expected = clump(table, source, **RULES)
    v = source.variants
    placed = pd.DataFrame(
        {
            "chromosome": [f"chr{name}" for name in v.chromosome],
            "base_pair_location": v.position,
            "effect_allele": v.other_allele,  # the other way round
            "other_allele": v.effect_allele,
            "neg_log_10_p_value": -np.log10(table["p_value"]),
        }
    )
    pd.testing.assert_frame_equal(clump(placed.sample(frac=1, random_state=1), source, **RULES), expected)
    flipped = ArraySource(np.where(source.calls < 0, -1, 2 - source.calls).astype(np.int8), source.samples, v)
    pd.testing.assert_frame_equal(clump(table, flipped, **RULES), expected)


def test_a_variant_that_the_table_has_twice_counts_once(caplog):
    source, table = linked()
    again = table.iloc[[3, 16]].assign(p_value=[0.5, 1e-7])
    with caplog.at_level(logging.WARNING, logger="henderson"):
        found = clump(pd.concat([again, table]), source, **RULES)
    pd.testing.assert_frame_equal(found, clump(table, source, **RULES))
    assert "several rows of a variant; 2 are left out" in caplog.text


@pytest.mark.parametrize(
    ("p", "said"), [(["1e-9", "x"], "p_value of the table holds text"), ([-1, 0.1], "has -1 in row 1")]
)
def test_p_values_that_are_none(p, said):
    with pytest.raises(DataError, match=said):
        clump(pd.DataFrame({"rsid": ["v1", "v2"], "p_value": p}), linked()[0])


def test_reads_only_what_lies_near():
    source, table = linked()
    read = []

    class Watched:
        samples, variants, has_dosages = source.samples, source.variants, False

        def read(self, wanted, samples=None):
            read.append(wanted)
            return source.read(wanted, samples)

    assert clump(table.iloc[[0, 59]], Watched(), p1=1e-12).empty
    assert not read


def test_exactly_the_distance_is_too_far():
    # as PLINK 1.9 has it, on either side
    source = ArraySource.of([[0, 1, 2, 1]] * 3)
    table = pd.DataFrame({"rsid": ["1", "2", "3"], "p_value": [1e-5, 1e-9, 1e-6]})
    assert clump(table, source, kb=0.001)["total"].tolist() == [0, 0, 0]
    assert clump(table, source, kb=0.0011)["total"].tolist() == [2]


def test_some_people_and_dosages():
    source, table = linked()
    rows = np.arange(0, 80, 2)
    half = ArraySource(source.calls[:, rows], source.samples.take(rows), source.variants)
    expected = clump(table, half, **RULES)
    pd.testing.assert_frame_equal(clump(table, source, samples=rows, **RULES), expected)
    near = np.where(half.calls < 0, np.nan, half.calls + 0.05).astype(np.float32)
    dosages = ArraySource(near, half.samples, half.variants)
    pd.testing.assert_frame_equal(clump(table, dosages, **RULES), expected)


def test_underflow_does_not_matter():
    source, table = linked()
    logs = -np.log10(table["p_value"])
    far = table.assign(neg_log_10_p_value=logs + 400, p_value=0.0)
    found = clump(far, source, p1=1e-300, p2=1e-300, r2=0.3, kb=10)
    order = np.argsort(-logs.to_numpy())
    assert found["rsid"].iloc[0] == table["rsid"].iloc[order[0]]
    assert found["neg_log_10_p_value"].iloc[0] == logs.max() + 400


def test_variants_that_are_not_among_the_genotypes(caplog):
    source, table = linked()
    expected = clump(table.iloc[:50], source, **RULES)
    more = pd.concat([table.iloc[:50], pd.DataFrame({"rsid": ["x", "y"], "p_value": [1e-9, 0.5]})])
    more.loc[len(more)] = ["v55", np.nan]
    with caplog.at_level(logging.WARNING, "henderson"):
        found = clump(more, source, **RULES)
    pd.testing.assert_frame_equal(found, expected)
    assert "2 variants with a p-value are not among the genotypes; 1 of them could" in caplog.text
    assert "such as x" in caplog.text
    with pytest.raises(DataError, match="None of the 2 variants"):
        clump(more.iloc[50:52], source)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"p1": 0.0}, "p1 must"), ({"p2": 2.0}, "p2 must"), ({"r2": -1.0}, "r2 must"), ({"kb": 0.0}, "kb must")],
)
def test_thresholds_that_make_no_sense(change, said):
    source, table = linked()
    with pytest.raises(DataError, match=said):
        clump(table, source, **change)


def test_tables_that_lack_columns():
    source, table = linked()
    with pytest.raises(DataError, match="neither a column neg_log_10_p_value nor p_value"):
        clump(table[["rsid"]], source)
    with pytest.raises(DataError, match="which variants it is about"):
        clump(table[["p_value"]], source)


def by_search(counts):
    """The largest likelihood on a fine grid of the frequency of AB, then on a finer one."""
    N = 2 * counts.sum()
    both = (2 * counts[2, 2] + counts[2, 1] + counts[1, 2]) / N
    p = (2 * counts[2].sum() + counts[1].sum()) / N
    q = (2 * counts[:, 2].sum() + counts[:, 1].sum()) / N
    low, high = both, both + counts[1, 1] / N
    for _ in range(4):
        x = np.linspace(low, high, 4001)
        frequency = np.array([[1 - p - q + x, q - x], [p - x, x]]).clip(0)
        log_likelihood = np.zeros_like(x)
        for i, j in product(range(3), repeat=2):
            pairs = [
                (a, b) for a, b in product(product(range(2), repeat=2), repeat=2)
                if a[0] + b[0] == i and a[1] + b[1] == j
            ]  # fmt: skip
            chance = sum(frequency[a] * frequency[b] for a, b in pairs)
            with np.errstate(divide="ignore"):
                log_likelihood += counts[i, j] * np.log(chance) if counts[i, j] else 0.0
        best = x[np.argmax(log_likelihood)]
        step = x[1] - x[0]
        low, high = max(both, best - step), min(both + counts[1, 1] / N, best + step)
    return log_likelihood.max(), (best - p * q) ** 2 / (p * (1 - p) * q * (1 - q))


def test_r2_is_of_the_likeliest_haplotypes():
    rng = np.random.default_rng(5)
    tables = rng.integers(0, 12, (300, 3, 3)) * (rng.random((300, 3, 3)) < 0.7)
    tables = tables[(tables.sum(axis=1) > 0).sum(axis=1) > 1]
    tables = tables[(tables.sum(axis=2) > 0).sum(axis=1) > 1].astype(float)
    found = haplotype_r2(tables)
    expected = np.array([by_search(table)[1] for table in tables])
    # where two peaks are equally high either may be taken
    assert (np.abs(found - expected) < 1e-6).mean() > 0.98
    assert len(tables) > 150


@given(st.lists(st.integers(0, 20), min_size=9, max_size=9))
def test_r2_is_one_or_less_and_blind_to_what_is_counted(cells):
    counts = np.array(cells, dtype=float).reshape(1, 3, 3)
    r2 = haplotype_r2(counts)
    assert np.isnan(r2[0]) or -1e-12 <= r2[0] <= 1 + 1e-9
    swapped = haplotype_r2(counts.transpose(0, 2, 1))
    assert np.allclose(swapped, r2, atol=1e-6, equal_nan=True)


def test_a_variant_that_does_not_vary_has_no_r2():
    calls = np.array([[0, 1, 2, 1], [1, 1, 1, 1], [-1, -1, -1, -1], [0, 1, 2, -1]], dtype=np.int8)
    counts = joint_counts(calls[0], calls)
    assert counts[0].tolist() == [[1, 0, 0], [0, 2, 0], [0, 0, 1]]
    # all heterozygous varies in haplotypes, though not in genotypes
    assert np.isnan(haplotype_r2(counts)).tolist() == [False, False, True, False]
    assert haplotype_r2(counts)[[0, 3]].tolist() == [1.0, 1.0]


def test_hard_calls_of_dosages():
    dosages = np.array([[0.05, 0.2, 1.95, np.nan, 0.91]], dtype=np.float32)
    assert hard_calls(dosages).tolist() == [[0, -1, 2, -1, 1]]


@needs_gwas_reference
@pytest.mark.parametrize(
    ("table", "fileset", "rules", "expected"),
    [
        ("mouse_hs1940/plink2/glm.t1", "mouse_hs1940/mouse_clean", {}, [2267, 1493, 78, 34, 56, 85, 1240]),
        (
            "mouse_hs1940/plink2/glm.t1",
            "mouse_hs1940/mouse_clean",
            {"p1": 0.01, "p2": 0.05, "r2": 0.3, "kb": 500},
            [2415, 3789, 642, 278, 503, 482, 1884],
        ),
        (
            "salmon/plink2/glm.gill_score",
            "salmon/salmon",
            {"p1": 0.05, "p2": 0.5, "r2": 0.2, "kb": 0.2},
            [2563, 919, 677, 130, 74, 18, 20],
        ),
        (
            "hapmap3/plink2/glm.q1",
            "hapmap3/hapmap3",
            {"p1": 0.05, "p2": 0.5, "r2": 0.03, "kb": 2000},
            [1856, 4, 4, 0, 0, 0, 0],
        ),
    ],
)
def test_clumps_of_real_genomes(table, fileset, rules, expected):
    # clumps of PLINK 1.9.0-b6.26, and the sums over them of TOTAL, NSIG, S05, S01, S001, S0001
    found = clump(
        read_sumstats(GWAS / f"expected/{table}.glm.linear.gz"), open_plink1(GWAS / "data" / fileset), **rules
    )
    assert [len(found), *found[COUNTS].sum().tolist()] == expected


def test_other_tables_than_pandas():
    """polars tables and plain mappings are tables too."""
    pl = pytest.importorskip("polars")
    calls = np.random.default_rng(1).integers(0, 3, 50)
    genotypes = ArraySource.of([calls, calls, calls[::-1]])
    columns = {"rsid": ["1", "2", "3"], "p_value": [1e-6, 1e-9, 1e-5]}
    expected = clump(pd.DataFrame(columns), genotypes)
    for table in (columns, pl.DataFrame(columns)):
        pd.testing.assert_frame_equal(clump(table, genotypes), expected)
