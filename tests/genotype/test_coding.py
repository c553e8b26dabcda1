import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from henderson.errors import DataError
from henderson.genotype import genotype_coding, standardise

ALLELE = st.sampled_from("ACGT")
MISSING = st.sampled_from(["", "NA", ".", "./.", ".|.", None, "00", "NN", float("nan"), " "])


@st.composite
def variants(draw):
    """Genotypes as (first, second) or None, two different alleles and the one that is counted."""
    counted, other = draw(st.lists(ALLELE, min_size=2, max_size=2, unique=True))
    pair = st.tuples(*[st.sampled_from([counted, other])] * 2)
    genotypes = draw(st.lists(st.one_of(pair, st.none()), min_size=1, max_size=30))
    assume(any(g and counted in g for g in genotypes))
    return genotypes, counted, other


@given(variants(), st.data())
def test_counts_whatever_the_spelling(variant, data):
    genotypes, counted, _ = variant
    letters = [
        data.draw(MISSING) if g is None else data.draw(st.sampled_from(["", "/", "|", " "])).join(g)
        for g in genotypes
    ]
    expected = np.array([np.nan if g is None else g.count(counted) for g in genotypes])

    np.testing.assert_array_equal(genotype_coding(letters, counted), expected)


@given(variants())
def test_the_three_models_agree(variant):
    genotypes, counted, other = variant
    letters = ["./." if g is None else "".join(g) for g in genotypes]
    additive = genotype_coding(letters, counted)
    dominant = genotype_coding(letters, counted, model="dominant")
    recessive = genotype_coding(letters, counted, model="recessive")

    np.testing.assert_array_equal(additive, dominant + recessive)
    if any(g and other in g for g in genotypes):
        np.testing.assert_array_equal(additive + genotype_coding(letters, other), 2.0 + 0.0 * additive)


@given(variants())
def test_phase_does_not_matter(variant):
    genotypes, counted, _ = variant
    one = ["./." if g is None else "".join(g) for g in genotypes]
    two = ["./." if g is None else "".join(reversed(g)) for g in genotypes]

    np.testing.assert_array_equal(genotype_coding(one, counted), genotype_coding(two, counted))


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["CC", "CT", None]),
        pd.Series(["CC", "CT", pd.NA], dtype="string"),
        pd.Series(["CC", "CT", None], dtype="category"),
        pl.Series(["CC", "CT", None]),
        np.array(["CC", "CT", ""]),
        ("CC", "CT", "NA"),
    ],
    ids=["pandas", "pandas-string", "pandas-categorical", "polars", "numpy", "tuple"],
)
def test_takes_any_column(column):
    coded = genotype_coding(column, "T")

    assert coded.dtype == np.float64
    np.testing.assert_array_equal(coded, [0.0, 1.0, np.nan])


@pytest.mark.parametrize(
    ("letters", "counted", "message"),
    [
        (["CC", "CT", "AT"], "T", "have 3: 'A', 'C' and 'T'"),
        (["CC", "CT"], "G", "Nobody carries the counted allele 'G'; the alleles seen are 'C' and 'T'"),
        (["CC"], "T", "the alleles seen are 'C'. Count"),
        (["CC", "ct"], "C", "have 3: 'C', 'c' and 't'"),
        (["CC", "C"], "C", "Row 2: 'C' is not a genotype"),
        (["CC", "CTT"], "C", "Row 2: 'CTT' is not a genotype"),
        (["CC", "0/1"], "C", "Row 2: '0/1' is not a genotype"),
        (["0/0"], "C", "Row 1: '0/0' is not a genotype"),
        (["CC", 2], "C", "Row 2: '2' is not a genotype"),
        (["CC", "C/."], "C", "Row 2: in the genotype 'C/.' only one"),
        (["CC", "NC"], "C", "Row 2: in the genotype 'NC' only one"),
        (["", None], "C", "Every genotype of this variant is missing"),
        ("CC", "C", "letters must be a sequence"),
        (["CC"], "CT", "counted_allele must be one letter"),
        (["CC"], "", "counted_allele must be one letter"),
        (["CC"], None, "counted_allele must be one letter"),
    ],
)
def test_refuses_in_one_sentence(letters, counted, message):
    with pytest.raises(DataError) as refused:
        genotype_coding(letters, counted)

    assert message in str(refused.value)


def test_refuses_an_unknown_model():
    with pytest.raises(DataError, match="'additive', 'dominant' or 'recessive', not 'codominant'"):
        genotype_coding(["CC"], "C", model="codominant")


@given(npst.arrays(np.float64, st.integers(2, 40), elements=st.floats(-1e100, 1e100, allow_subnormal=False)))
def test_standardised_has_mean_zero_and_sd_one(values):
    assume(np.ptp(values) > 1e-6 * np.abs(values).max())
    z = standardise(values)

    assert abs(z.mean()) < 1e-12
    assert abs(z.std(ddof=1) - 1.0) < 1e-12
    assert (np.diff(z[np.argsort(values, kind="stable")]) >= 0).all()


@given(
    npst.arrays(np.float64, st.integers(3, 20), elements=st.floats(-100, 100).map(lambda x: round(x, 3))),
    st.floats(0.1, 100),
    st.floats(-100, 100),
)
def test_shift_and_scale_change_nothing(values, scale, shift):
    assume(np.ptp(values) > 0.01)

    np.testing.assert_allclose(standardise(values * scale + shift), standardise(values), atol=1e-8)


def test_missing_values_stay_and_count_for_nothing():
    z = standardise([1.0, np.nan, 2.0, 3.0])

    np.testing.assert_array_equal(z, [-1.0, np.nan, 0.0, 1.0])


def test_agrees_with_the_definition():
    heights = np.array([180.0, 160, 158, 155, 193])

    expected = (heights - heights.mean()) / heights.std(ddof=1)
    np.testing.assert_allclose(standardise(heights), expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, 1.0, np.nan], "All 2 values are 1; a column that does not vary"),
        ([1.0, np.nan], "at least two values"),
        ([], "at least two values"),
        ([1.0, np.inf, 2.0], "Row 2 is infinite"),
        (["CC", "CT"], "genotype_coding"),
        ([[1.0, 2.0], [3.0, 4.0]], "one column at a time"),
    ],
)
def test_standardise_refuses_in_one_sentence(values, message):
    with pytest.raises(DataError, match=message):
        standardise(values)


@pytest.mark.parametrize("letters", [None, 5, "CT"])
def test_one_value_is_no_sequence_of_genotypes(letters):
    with pytest.raises(DataError, match="one per person, not"):
        genotype_coding(letters, "T")
