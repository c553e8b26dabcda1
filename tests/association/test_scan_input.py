"""Genome scans refuse what they cannot use in one sentence, and take whatever else they are given."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from cohorts import cohort
from henderson.covariance import RelationshipMatrix
from henderson.genotype import ArraySource, Samples
from plink_files import write_plink

N = 60
SOURCE, TABLE = cohort(n=N, m=30, seed=1)
K = hd.grm(SOURCE)
NAMES = K.samples


def matrix(values, samples=NAMES):
    return {"relationship": RelationshipMatrix(np.asarray(values), samples)}


def named(*iid):
    return Samples(np.array(iid), np.array(iid))


def refused(formula="y ~ age", table=TABLE, genotypes=SOURCE, error=hd.DataError, **options):
    """The message of the error: one sentence, with nothing of Python in it."""
    with pytest.raises(error) as caught:
        hd.scan(formula, table, genotypes, **({"relationship": "grm"} | options))
    message = str(caught.value)
    assert type(caught.value).__module__ == "henderson.errors"
    assert len(message) < 300
    if error is not hd.FormulaError:
        assert "\n" not in message
    for word in ("array(", "object at", "dtype", "numpy", "None"):
        assert word not in message
    return message


LOOSE = np.where(np.eye(N) > 0, np.nan, K.matrix)
TILTED = K.matrix + np.triu(np.ones((N, N)), 1)
OTHERS = named(*[f"q{k}" for k in range(N)])

REFUSED = {
    "no IID": ({"table": TABLE.drop(columns="IID")}, "has no column IID; add one"),
    "gap in IID": (
        {"table": TABLE.assign(IID=[None, *TABLE["IID"][1:]])},
        "row 1: the identifier IID is missing; fill it in",
    ),
    "somebody twice": (
        {"table": pd.concat([TABLE, TABLE[:1]])},
        "IID 1 is in row 1 and again in row 61; keep one",
    ),
    "nobody": ({"table": TABLE.assign(IID="x" + TABLE["IID"])}, "Nobody in the table is in the genotypes"),
    "constant": ({"table": TABLE.assign(y=3.0)}, r"column 'y' \(is it constant\?\)"),
    "all missing": ({"table": TABLE.assign(y=np.nan)}, "60 of 60 rows dropped for missing values"),
    "text": ({"formula": "sex ~ age"}, "the response sex holds categories"),
    "infinite": (
        {"table": TABLE.assign(y=TABLE["y"].replace(TABLE["y"][3], np.inf))},
        "'y' is infinite in row 3",
    ),
    "unknown covariate": ({"formula": "y ~ agee"}, "has no column 'agee'; did you mean 'age'"),
    "unknown trait": ({"formula": "yy ~ age"}, "has no column 'yy'; did you mean 'y'"),
    "table is a path": ({"table": "pheno.txt"}, "data is a str, not a pandas"),
    "no such file": ({"genotypes": "no/such/file"}, "There are no genotypes no/such/file"),
    "test": ({"test": "foo"}, "test must be 'exact' or 'null', not 'foo'"),
    "word for a matrix": (
        {"relationship": "kinship"},
        "relationship must be a RelationshipMatrix .* it is a str",
    ),
    "matrix of others": (matrix(K.matrix, OTHERS), "Nobody in the relationship matrix is in the genotypes"),
    "matrix with gaps": (matrix(LOOSE), "missing or infinite number in the row of '1'"),
    "matrix not symmetric": (matrix(TILTED), "is not symmetric"),
    "matrix not semi-definite": (
        matrix(K.matrix - 0.5 * np.eye(N)),
        "not positive semi-definite.* the smallest at -0.5",
    ),
    "no variant varies": (
        {"genotypes": ArraySource(np.ones_like(SOURCE.calls), SOURCE.samples, SOURCE.variants)},
        "more than one genotype",
    ),
    "fewer people than covariates": (
        {"formula": "y ~ age + z + sex", "table": TABLE[:3]},
        "3 complete rows for 3 fixed effects",
    ),
    "one person": ({"formula": "y ~ 1", "table": TABLE[:1]}, "leaves nothing to estimate variances from"),
    "person as group": (
        {"formula": "y ~ age + (1 | IID)", "relationship": None},
        "levels of each grouping factor must be < number of observations",
    ),
    "one group": (
        {"formula": "y ~ (1 | g)", "table": TABLE.assign(g="a"), "relationship": None},
        "more than one level",
    ),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(options, message):
    found = refused(**options)
    assert re.search(message, found), found


FORMULAS = {
    "no response": ("~ age", "grm", "the response is missing"),
    "no tilde": ("y", "grm", "a '~' is missing"),
    "open bracket": ("y ~ (age", "grm", r"this '\(' is never closed"),
}


@pytest.mark.parametrize(("formula", "relationship", "message"), FORMULAS.values(), ids=FORMULAS)
def test_formula_refused(formula, relationship, message):
    found = refused(formula, relationship=relationship, error=hd.FormulaError)
    assert re.search(message, found), found


def test_groups_beside_a_matrix_are_not_supported():
    message = refused("y ~ age + (1 | family)", error=hd.ModelNotSupportedError)
    assert "a relationship matrix beside them is not supported yet" in message


WRONG = {
    "array for a matrix": ({"relationship": K.matrix}, "relationship must be a RelationshipMatrix"),
    "frame with other columns": (
        {"relationship": pd.DataFrame(K.matrix, NAMES.iid, NAMES.iid[::-1])},
        "not named as its rows",
    ),
    "no genotypes": ({"genotypes": None}, "genotypes must be the path"),
    "rules": ({"rules": {"min_maf": 0.1}}, "ScanRules"),
    "threads": ({"threads": "two"}, "threads"),
    "negative threads": ({"threads": -1}, "threads"),
    "no threads": ({"threads": 0}, "threads"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_refused_in_a_sentence(options, message):
    assert message in refused(**options)


@pytest.mark.parametrize("shape", [(N, N - 1), (40, 40)])
def test_a_matrix_has_a_row_and_a_column_for_each_person(shape):
    with pytest.raises(hd.DataError, match=f"names {N} people, but its shape is"):
        RelationshipMatrix(K.matrix[: shape[0], : shape[1]], NAMES)
    with pytest.raises(hd.DataError, match=r"use RelationshipMatrix\.of"):
        RelationshipMatrix(K.matrix, NAMES.iid)


def test_a_labelled_frame_is_a_matrix():
    frame = pd.DataFrame(K.matrix, NAMES.iid, NAMES.iid)
    found, expected = (hd.scan("y ~ age", TABLE, SOURCE, relationship=G).table for G in (frame, K))
    pd.testing.assert_frame_equal(found, expected)


def test_a_wrong_matrix_is_not_printed():
    assert "must be a RelationshipMatrix" in refused(relationship={"iid": K})


NONE = SOURCE.variants.take(slice(0, 0))


def test_no_variants():
    genotypes = ArraySource(SOURCE.calls[:0], SOURCE.samples, NONE)
    assert "no variants" in refused(genotypes=genotypes, relationship=K)


def test_a_fileset_without_variants(tmp_path):
    genotypes = write_plink(tmp_path / "none", SOURCE.calls[:0], samples=SOURCE.samples, variants=NONE)
    assert "none.bim is empty" in refused(genotypes=genotypes, relationship=K)


@pytest.mark.parametrize("relationship", ["grm", K], ids=["grm", "given"])
def test_no_degree_of_freedom_for_a_variant(relationship):
    few = TABLE.iloc[[0, 1, 30]]
    assert "3" in refused("y ~ age", few, relationship=relationship)


def test_no_column_is_invented():
    """A table with IID has no column iid."""
    assert "iid" in refused("y ~ iid")
    assert "60 fixed effects" not in refused("y ~ iid")


@pytest.mark.parametrize("formula", ["~ age", "y", "y ~ (age"])
def test_a_formula_is_shown_as_it_was_written(formula):
    assert "iid" not in refused(formula, error=hd.FormulaError)


def test_a_group_called_residual():
    table = TABLE.assign(residual=TABLE["family"])
    found = hd.scan("z ~ (1 | residual)", table, SOURCE).table
    expected = hd.scan("z ~ (1 | family)", TABLE, SOURCE).table
    assert len(found.columns) == len(expected.columns)


# -- what is taken -------------------------------------------------------------------------------------------


def numbers(result):
    return result.table.select_dtypes("number").to_numpy()


def assert_same(found, expected):
    """To rounding, which goes with the number of threads and the place of arrays in memory."""
    assert np.allclose(numbers(found), numbers(expected), rtol=1e-11, atol=1e-12)


@pytest.fixture(scope="module")
def expected():
    return hd.scan("y ~ age", TABLE, SOURCE, relationship="grm")


@pytest.mark.parametrize(
    "table",
    [
        TABLE.to_dict("list"),
        TABLE.rename(columns={"IID": "#IID"}),
        TABLE.rename(columns={"IID": "iid"}),
        TABLE.assign(IID=np.arange(1, N + 1)),
        TABLE.assign(IID=np.arange(1.0, N + 1)),
        TABLE.assign(FID=TABLE["IID"]),
        TABLE.assign(FID=0),
        TABLE.set_index(np.arange(N) % 7),
        TABLE.assign(y=TABLE["y"].astype(object)),
    ],
    ids=["dict", "#IID", "iid", "whole numbers", "floats", "FID", "FID 0", "odd index", "objects"],
)
def test_tables(table, expected):
    assert_same(hd.scan("y ~ age", table, SOURCE, relationship="grm"), expected)


def test_polars(expected):
    polars = pytest.importorskip("polars")
    table = polars.DataFrame(TABLE.to_dict("list"))
    assert_same(hd.scan("y ~ age", table, SOURCE, relationship="grm"), expected)


def test_the_table_is_not_changed():
    table = TABLE.copy()
    hd.scan("y ~ age", table, SOURCE, relationship="grm")
    pd.testing.assert_frame_equal(table, TABLE)
    before = K.matrix.copy()
    hd.scan("y ~ age", table, SOURCE, relationship=K, rules=hd.ScanRules.like_gemma())
    assert np.array_equal(K.matrix, before)


@pytest.mark.parametrize("formula", ["y ~ I(age / 12)", "y ~ scale(age)", "y ~ 1 + age", "y ~ poly(age, 1)"])
def test_formulas_of_the_same_model(formula, expected):
    found = hd.scan(formula, TABLE, SOURCE, relationship="grm")
    assert np.allclose(numbers(found), numbers(expected), rtol=1e-8, atol=1e-10)


def test_offset_is_subtracted():
    found = hd.scan("y ~ age + offset(z)", TABLE, SOURCE, relationship="grm")
    expected = hd.scan("d ~ age", TABLE.assign(d=TABLE["y"] - TABLE["z"]), SOURCE, relationship="grm")
    assert np.allclose(numbers(found), numbers(expected), rtol=1e-10)


def test_no_intercept():
    """The variant is not centred then, against a direct computation at the scan's own lambda."""
    found = hd.scan("y ~ 0 + age", TABLE, SOURCE, relationship="grm").table
    for v, row in found.iterrows():
        A = np.column_stack([TABLE["age"], SOURCE.calls[v]])
        Vi = np.linalg.inv(np.eye(N) + row["lambda_reml"] * K.matrix)
        beta = np.linalg.solve(A.T @ Vi @ A, A.T @ Vi @ TABLE["y"].to_numpy())
        assert row["beta"] == pytest.approx(beta[1], rel=1e-8)


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_threads(threads, expected):
    assert_same(hd.scan("y ~ age", TABLE, SOURCE, relationship="grm", threads=threads), expected)
