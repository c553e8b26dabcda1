import logging

import numpy as np
import pandas as pd
import polars as pl
import pytest

import henderson as hd

PEOPLE = {
    "height": hd.standardise([180.0, 160, 158, 155, 193]),
    "variant1": hd.standardise(hd.genotype_coding(["CC", "TT", "CT", "CC", "CC"], "T")),
    "variant2": hd.standardise(hd.genotype_coding(["CT", "TT", "CT", "TT", "CC"], "C")),
    "variant3": hd.standardise(hd.genotype_coding(["AT", "AA", "AA", "AA", "TT"], "T")),
    "family": [1, 1, 1, 2, 2],
}
VARIANTS = ["variant1", "variant2", "variant3"]


@pytest.fixture
def cohort():
    rng = np.random.default_rng(20)
    n, families = 120, 30
    family = np.repeat(np.arange(families), n // families)
    school = rng.integers(0, 6, n)
    data = {f"rs{j}:A>G": rng.binomial(2, 0.4, n).astype(float) for j in range(3)}
    height = rng.normal(size=families)[family] + 0.5 * data["rs0:A>G"] + rng.normal(size=n)
    return pd.DataFrame(
        {
            "height": height,
            "age": rng.normal(size=n),
            "family": family.astype(str),
            "school": school.astype(str),
            **data,
        }
    )


@pytest.mark.parametrize("frame", [dict, pd.DataFrame, pl.DataFrame], ids=["dict", "pandas", "polars"])
def test_the_primer_has_rs_numbers(frame):
    table = hd.lmer_variants("height ~ (1 | family)", frame(PEOPLE), VARIANTS)

    assert table["variant"].tolist() == VARIANTS
    np.testing.assert_allclose(table["estimate"], [-0.5000913, 0.8525024, 1.0488402], atol=5e-8)
    np.testing.assert_allclose(table["group_variance"], [0.0, 0.0, 0.04201681], atol=5e-9)
    np.testing.assert_allclose(
        table["residual_variance"], [0.999878212, 0.364319641, 0.007307271], atol=5e-10
    )
    np.testing.assert_allclose(table["proportion"], [0.0, 0.0, 0.8518519], atol=5e-8)
    assert table["singular"].tolist() == [True, True, False]
    assert table["status"].tolist() == ["ok"] * 3
    np.testing.assert_allclose(table["statistic"], table["estimate"] / table["std_error"])


def test_without_a_group_variance_it_is_plain_least_squares():
    table = hd.lmer_variants("height ~ (1 | family)", PEOPLE, VARIANTS[:2])

    np.testing.assert_allclose(table["ols_estimate"], table["estimate"], rtol=1e-10)
    np.testing.assert_allclose(table["ols_std_error"], table["std_error"], rtol=1e-10)


def test_each_row_is_that_variants_own_fit(cohort):
    cohort.loc[[3, 50, 77], "rs1:A>G"] = np.nan
    variants = [f"rs{j}:A>G" for j in range(3)]
    table = hd.lmer_variants("height ~ age + (1 | family)", cohort, variants).set_index("variant")

    for variant in variants:
        rows = cohort.dropna(subset=variant).rename(columns={variant: "x"})
        fit = hd.lmer("height ~ age + x + (1 | family)", rows)
        X = np.column_stack([np.ones(len(rows)), rows["age"], rows["x"]])
        b, rss, *_ = np.linalg.lstsq(X, rows["height"].to_numpy(), rcond=None)
        covariance = np.linalg.inv(X.T @ X) * rss[0] / (len(rows) - 3)
        row = table.loc[variant]
        np.testing.assert_allclose(
            [row["estimate"], row["std_error"], row["group_variance"], row["residual_variance"]],
            [fit.fixef["x"], fit.se["x"], fit.varcorr["family"].covariance[0, 0], fit.sigma**2],
            rtol=2e-6,
        )
        np.testing.assert_allclose(
            [row["ols_estimate"], row["ols_std_error"]], [b[2], covariance[2, 2] ** 0.5]
        )


def test_maximum_likelihood(cohort):
    reml = hd.lmer_variants("height ~ (1 | family)", cohort, ["rs0:A>G"])
    ml = hd.lmer_variants("height ~ (1 | family)", cohort, ["rs0:A>G"], REML=False)

    assert ml.loc[0, "residual_variance"] < reml.loc[0, "residual_variance"]
    assert ml.loc[0, "ols_std_error"] == reml.loc[0, "ols_std_error"]


def test_several_groups_have_a_column_each(cohort):
    table = hd.lmer_variants("height ~ (1 | family) + (1 | school)", cohort, ["rs0:A>G"])
    row = table.loc[0]
    groups = row["family_variance"] + row["school_variance"]

    assert "group_variance" not in table
    assert row["proportion"] == pytest.approx(groups / (groups + row["residual_variance"]))


def test_slopes_have_a_column_each(cohort):
    table = hd.lmer_variants("height ~ age + (age | family)", cohort, ["rs0:A>G"])

    assert {"family_variance", "family_age_variance"} <= set(table.columns)
    assert 0 < table.loc[0, "proportion"] < 1


def test_one_bad_variant_does_not_stop_the_others(cohort):
    cohort["constant"], cohort["missing"], cohort["copy"] = 1.0, np.nan, 2 * cohort["age"]
    variants = ["constant", "missing", "copy", "rs0:A>G"]
    table = hd.lmer_variants("height ~ age + (1 | family)", cohort, variants)

    assert table["status"].str.split(":").str[0].tolist() == [
        "not estimated",
        "not fitted",
        "not estimated",
        "ok",
    ]
    assert table["estimate"].notna().tolist() == [False, False, False, True]
    assert table["singular"].isna().tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("formula", "variants", "message"),
    [
        ("height ~ (1 | family)", ["variant9"], "no column 'variant9'; did you mean 'variant"),
        ("height ~ (1 | family)", ["letters"], "'letters' holds categories such as 'CC'"),
        ("height ~ (1 | family)", [], "variants is empty"),
        ("heigth ~ (1 | family)", ["variant1"], "did you mean 'height'"),
        ("height ~ (1 | family", ["variant1"], "height ~ (1 | family"),
    ],
)
def test_refuses_in_one_sentence(formula, variants, message):
    with pytest.raises(hd.HendersonError) as refused:
        hd.lmer_variants(formula, {**PEOPLE, "letters": ["CC", "TT", "CT", "CC", "CC"]}, variants)

    assert message in str(refused.value)


def test_the_log_stays_quiet(caplog):
    with caplog.at_level(logging.DEBUG, logger="henderson"):
        hd.lmer_variants("height ~ (1 | family)", PEOPLE, "variant1")

    assert not caplog.records
    assert not logging.getLogger("henderson").filters
