import gzip
import json
import re

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import henderson as hd
from command_runs import EMPTY, HIT, MONOMORPHIC, M, N, henderson, log_lines, names, write_table
from henderson.association.rules import ScanRules
from henderson.io.phenotypes import read_phenotypes

NUMBERS = ["beta", "standard_error", "effect_allele_frequency", "p_value", "neg_log_10_p_value", "n"]
BASIC = ("--bfile", "small", "--pheno", "pheno.txt", "--no-plots")


@pytest.fixture
def gwas(cohort, capfd):
    def call(*options, out="out", status=0):
        code, stdout, err = henderson(capfd, "gwas", *BASIC, "--out", out, *options)
        assert code == status, err
        assert not stdout
        return err

    return call


def table(trait="height", out="out"):
    return pd.read_parquet(f"{out}.{trait}.parquet")


def people(covariates=False):
    frame = read_phenotypes("pheno.txt").columns.assign(**ids("pheno.txt"))
    if not covariates:
        return frame
    return frame.merge(pd.read_csv("covar.txt", sep="\t"), how="left", on=["FID", "IID"])


def ids(path):
    return pd.read_csv(path, sep="\t")[["FID", "IID"]]


def same(found, expected, rtol=1e-10):
    """The same tables; near p = 1 a likelihood ratio of 1e-5 has lost half of its digits."""
    lrt = [name for name in found if "p_lrt" in name]
    pd.testing.assert_frame_equal(
        found.drop(columns=lrt), expected.drop(columns=lrt), check_dtype=False, rtol=rtol, atol=1e-12
    )
    pd.testing.assert_frame_equal(found[lrt], expected[lrt], check_dtype=False, rtol=rtol, atol=1e-8)


def test_every_trait_gets_its_files_and_the_numbers_of_hd_scan(gwas, cohort):
    err = gwas()

    endings = ("parquet", "tsv.gz", "tsv.gz-meta.yaml")
    expected = [f"out.{trait}.{ending}" for trait in ("bmi", "height", "weight") for ending in endings]
    assert names(cohort, "out") == sorted([*expected, "out.log", "out.traits.tsv"])
    for trait in ("height", "weight", "bmi"):
        same(table(trait), hd.scan(f"{trait} ~ 1", people(), "small", relationship="grm").table)
    found = table()
    assert len(found) == M
    assert found["status"][MONOMORPHIC] == "monomorphic"
    assert found["status"][EMPTY] == "no calls"
    assert found["p_value"].isna().sum() == 2
    assert found["p_value"].idxmin() == HIT
    assert table("bmi")["n"].max() == N - 4
    assert "298 of 300 variants tested in 120 people" in err


def test_parquet_and_text_hold_the_same(gwas):
    gwas("--pheno-name", "height")
    with gzip.open("out.height.tsv.gz", "rt") as file:
        text = pd.read_csv(file, sep="\t", na_values=["NA", "#NA"])
    found = table()

    assert list(text.columns) == list(found.columns)
    for name in NUMBERS:
        np.testing.assert_array_equal(text[name].to_numpy(float), found[name].to_numpy(float))
    assert text["rsid"].tolist() == found["rsid"].tolist()
    assert text["status"].tolist() == found["status"].tolist()
    options = json.loads(pq.read_schema("out.height.parquet").metadata[b"henderson.options"])
    assert options["trait"] == "height"
    assert options["people"] == N
    assert options["bfile"] == "small"


def test_the_log_tells_the_run(gwas):
    err = gwas("--maf", "0.07")
    lines = log_lines("out")
    text = "\n".join(lines)

    assert "running since" in lines[0]
    assert lines[-1].startswith("finished in ")
    assert "option maf: 0.07" in lines
    assert any(line.endswith(" test: exact") for line in lines)
    assert f"NumPy {np.__version__}" in text
    order = [
        "small: 120 people, 300 variants",
        "memory needed",
        "relationship matrix of 120 people",
        "height: h2 ",
        "variants tested",
        "smallest p-values",
        "height: written",
    ]
    at = [text.index(words) for words in order]
    assert at == sorted(at)
    # every status of the table is counted
    block = "\n".join(line for line in lines if " height: " in line)
    for status, count in table()["status"].value_counts().items():
        assert re.search(rf"(?<!\d){count} {re.escape(status)}(?![ \w])", block), (status, count)
    # what is said is said once, and the same on the screen as in the log
    for line in err.splitlines():
        assert line.strip() in text
    assert err.count("rows dropped for missing values") == 1


def test_the_best_variants_are_shown_with_their_numbers(gwas):
    err = gwas("--pheno-name", "height")
    best = table().nsmallest(5, "p_value")

    at = next(i for i, line in enumerate(err.splitlines()) if "smallest p-values" in line)
    heads, *rows = [line.split() for line in err.splitlines()[at + 1 : at + 7]]
    assert heads == ["rsid", "chr", "position", "effect/other", "frequency", "beta", "SE", "p"]
    for row, (_, variant) in zip(rows, best.iterrows(), strict=True):
        assert row[:4] == [variant["rsid"], "1", str(variant["base_pair_location"]), "A/G"]
        assert float(row[5]) == pytest.approx(variant["beta"], rel=1e-3)
        assert float(row[7]) == pytest.approx(variant["p_value"], rel=1e-2)
    # the table stands straight in the log, too
    logged = [line for line in log_lines("out") if line.rstrip().endswith(rows[0][7]) and rows[0][0] in line]
    head = next(line for line in log_lines("out") if "effect/other" in line)
    assert len(logged) == 1
    assert len(logged[0]) == len(head)


def test_gemma_conventions(gwas):
    gwas("--pheno-name", "height", "--gemma")
    expected = hd.scan(
        "height ~ 1", people(), "small", relationship="grm", rules=ScanRules.like_gemma()
    ).table

    same(table(), expected)
    assert (table()["status"] == "missing rate above 0.05").any()


def test_gemma_filters_can_be_changed(gwas):
    gwas("--pheno-name", "height", "--gemma", "--geno", "1", "--maf", "0")

    assert not table()["status"].str.contains("missing rate|frequency").any()


def test_null_keeps_the_variances(gwas):
    gwas("--pheno-name", "height", "--test", "null")
    expected = hd.scan("height ~ 1", people(), "small", relationship="grm", test="null").table

    same(table(), expected)
    assert "lambda_reml" not in table()


@pytest.mark.parametrize(
    ("format", "file", "scale"),
    [("npz", "g.npz", "standardized"), ("gcta", "g", "standardized"), ("gemma", "g.cXX.txt", "centered")],
)
def test_a_matrix_from_a_file(gwas, capfd, format, file, scale):
    G = hd.grm("small", scale=scale)
    status, _, err = henderson(
        capfd, "grm", "--bfile", "small", "--out", "g", "--format", format, "--scale", scale
    )
    assert status == 0, err
    gwas("--pheno-name", "bmi", "--grm", file)

    expected = hd.scan("bmi ~ 1", people(), "small", relationship=G).table
    # files of GCTA have seven digits, those of GEMMA ten
    same(table("bmi")[NUMBERS], expected[NUMBERS], rtol=1e-10 if format == "npz" else 2e-5)


def test_covariates_with_numbers_and_text(gwas):
    err = gwas("--pheno-name", "height", "--covar", "covar.txt", "--covar-name", "age", "sex")

    expected = hd.scan("height ~ age + sex", people(True), "small", relationship="grm")
    same(table(), expected.table)
    assert table()["n"].max() == N - 10
    assert "height: fixed effects: (Intercept), age, sexM" in err
    assert "10 people are in pheno.txt but not in covar.txt" in err


def test_all_covariates_by_default(gwas):
    write_table(pd.read_csv("covar.txt", sep="\t").drop(columns="family"), "few.txt")
    err = gwas("--pheno-name", "height", "--covar", "few.txt")

    assert "height: fixed effects: (Intercept), age, sexM" in err


def test_collinear_covariates_are_dropped_with_a_word(gwas):
    twice = pd.read_csv("covar.txt", sep="\t").assign(months=lambda t: 12 * t["age"])
    write_table(twice, "twice.txt")
    err = gwas("--pheno-name", "height", "--covar", "twice.txt", "--covar-name", "age,months")

    assert err.count("rank deficient so dropping 1 column / coefficient: months") == 1
    expected = hd.scan("height ~ age", people(True), "small", relationship="grm").table
    same(table(), expected)


def test_a_formula_without_a_relationship_matrix(gwas):
    err = gwas("--formula", "height ~ age + (1 | family)", "--covar", "covar.txt")

    same(table(), hd.scan("height ~ age + (1 | family)", people(True), "small").table)
    assert "relationship matrix" not in err
    assert "height: variances: family " in err


def test_a_formula_with_the_relationship_matrix(gwas):
    gwas("--formula", "height ~ age + I(age^2)", "--covar", "covar.txt")

    expected = hd.scan("height ~ age + I(age^2)", people(True), "small", relationship="grm").table
    same(table(), expected)


@pytest.mark.parametrize("given", [("height", "bmi"), ("height,bmi",), ("height,bmi", "height")])
def test_traits_by_name(gwas, cohort, given):
    gwas("--pheno-name", *given)

    assert [name for name in names(cohort, "out") if name.endswith("parquet")] == [
        "out.bmi.parquet",
        "out.height.parquet",
    ]


def test_a_name_with_a_comma_is_a_name(gwas, cohort):
    phenotypes = pd.read_csv("pheno.txt", sep="\t").rename(columns={"height": "a,b"})
    phenotypes.to_csv("pheno.txt", index=False)
    gwas("--pheno-name", "a,b")

    assert "out.a_b.parquet" in names(cohort, "out")


def test_several_traits_give_the_numbers_of_one_at_a_time(gwas):
    gwas(out="all")
    for trait in ("height", "weight", "bmi"):
        gwas("--pheno-name", trait, out="one")
        same(table(trait, "one"), table(trait, "all"))


def test_names_of_traits_that_make_the_same_name_of_a_file(gwas, cohort):
    phenotypes = pd.read_csv("pheno.txt", sep="\t")
    renamed = phenotypes.rename(columns={"height": "x/y", "weight": "x_y", "bmi": "X:y"})
    write_table(renamed, "pheno.txt")
    err = gwas()

    assert [n for n in names(cohort, "out") if n.endswith("parquet")] == [
        "out.X_y.3.parquet",
        "out.x_y.2.parquet",
        "out.x_y.parquet",
    ]
    traits = {
        name: json.loads(pq.read_schema(f"out.{name}.parquet").metadata[b"henderson.options"])["trait"]
        for name in ("x_y", "x_y.2", "X_y.3")
    }
    assert traits == {"x_y": "x/y", "x_y.2": "x_y", "X_y.3": "X:y"}
    assert "X:y: written: out.X_y.3.parquet" in err


def test_filters(gwas):
    gwas("--pheno-name", "height", "--maf", "0.201", "--geno", "0.02")
    found = table()
    frequency = found["effect_allele_frequency"]
    rare = np.minimum(frequency, 1 - frequency) < 0.201
    missing = found["n"] < N * 0.98

    tested = found["p_value"].notna()
    assert (rare & ~missing).any()
    assert (missing & ~rare).any()
    expected = ~rare & ~missing
    expected[[MONOMORPHIC, EMPTY]] = False
    assert (tested == expected).all()
    unfiltered = hd.scan("height ~ 1", people(), "small", relationship="grm").table
    same(found[NUMBERS][tested], unfiltered[NUMBERS][tested])


def test_threads_do_not_matter(gwas):
    gwas("--threads", "1", out="one")
    gwas("--threads", "2", out="two")

    for trait in ("height", "bmi"):
        same(table(trait, "two"), table(trait, "one"))


def test_plots(cohort, capfd):
    status, out, err = henderson(
        capfd, "gwas", "--bfile", "small", "--pheno", "pheno.txt", "--pheno-name", "height", "--out", "out"
    )

    assert (status, out) == (0, "")
    for plot in ("manhattan", "qq"):
        with open(f"out.height.{plot}.png", "rb") as file:
            assert file.read(8) == b"\x89PNG\r\n\x1a\n"
        assert f"out.height.{plot}.png" in err


def test_minus_nine_is_missing_and_said_once(gwas):
    phenotypes = pd.read_csv("pheno.txt", sep="\t")
    phenotypes["height"] = phenotypes["height"].astype(object).where(phenotypes.index > 4, -9)
    write_table(phenotypes, "pheno.txt")
    err = gwas("--pheno-name", "height")

    assert table()["n"].max() == N - 5
    assert err.count("written -9") == 1


def test_people_without_genotypes_and_the_other_way_round(gwas):
    phenotypes = pd.read_csv("pheno.txt", sep="\t").iloc[:-3]
    phenotypes.loc[0, ["FID", "IID"]] = ["new", "new"]
    write_table(phenotypes, "pheno.txt")
    err = gwas("--pheno-name", "height")

    assert "4 people are genotyped but not in pheno.txt" in err
    assert "1 person is in pheno.txt but not genotyped: new new" in err
    assert "116 people" in err


def test_no_heritability_is_an_answer(gwas):
    rng = np.random.default_rng(5)
    G = hd.grm("small")
    values, vectors = np.linalg.eigh(G.matrix)
    # large where the matrix has small eigenvalues: the opposite of heritable
    y = vectors @ (rng.normal(size=N) / np.sqrt(values.clip(1e-3)))
    write_table(ids_of(G).assign(noise=y), "pheno.txt")
    err = gwas()

    assert "noise: h2 0.0000," in err
    assert "nan" not in err
    assert (table("noise")["status"] == "h2 at 0").sum() > M / 2


def test_full_heritability_is_an_answer(gwas):
    rng = np.random.default_rng(5)
    G = hd.grm("small")
    values, vectors = np.linalg.eigh(G.matrix)
    write_table(ids_of(G).assign(genes=vectors @ (values.clip(0) * rng.normal(size=N))), "pheno.txt")
    err = gwas()

    assert "genes: h2 1.0000" in err
    assert "nan" not in err
    statuses = table("genes")["status"]
    assert statuses.str.startswith("h2 at its upper bound").sum() > M / 2


def ids_of(G):
    return pd.DataFrame({"FID": G.samples.fid, "IID": G.samples.iid})


def bad_traits():
    phenotypes = pd.read_csv("pheno.txt", sep="\t")
    two = phenotypes["height"].where(phenotypes.index < 2)
    write_table(phenotypes.assign(flat=1.5, nothing=np.nan, two=two), "pheno.txt")


def test_a_trait_that_cannot_be_analysed_does_not_stop_the_others(gwas, cohort):
    gwas(out="good")
    bad_traits()
    err = gwas("--pheno-name", "flat", "nothing", "height", "weight", "bmi", status=1)

    for trait in ("height", "weight", "bmi"):
        same(table(trait), table(trait, "good"))
    for text in (err, "\n".join(log_lines("out"))):
        assert re.search(r"not analysed: flat: .*is it constant\?", text)
        assert re.search(r"not analysed: nothing: no rows are left to fit: 120 of 120", text)
    assert not [name for name in names(cohort, "out") if "flat" in name or "nothing" in name]
    assert log_lines("out")[-1].startswith("finished in ")


@pytest.mark.parametrize("trait", ["flat", "nothing"])
def test_the_only_trait_that_cannot_be_analysed_is_refused(cohort, capfd, trait):
    bad_traits()
    status, out, err = henderson(capfd, "gwas", *BASIC, "--out", "out", "--pheno-name", trait)

    assert (status, out) == (2, "")
    assert err.splitlines()[-1].startswith("henderson: ")
    assert f"'{trait}'" in err or f"({trait} 120)" in err
    assert names(cohort, "out") == ["out.log"]
    assert log_lines("out")[-1].startswith("failed: ")


def test_two_people_are_too_few_for_a_variant(gwas, cohort):
    bad_traits()
    err = gwas("--pheno-name", "two", "height", status=1)

    assert "not analysed: two: " in err
    assert not [name for name in names(cohort, "out") if "two" in name]


def test_families_of_the_identifiers_as_groups(gwas):
    """Twenty families of six, by the FID of the phenotype file."""
    pheno, fam = (
        pd.read_csv(f, sep="\t", header=h, dtype=str) for f, h in (("pheno.txt", 0), ("small.fam", None))
    )
    number = fam[1].str.removeprefix("i").astype(int)
    fam[0] = "fam" + (number // 6).astype(str)
    fam.to_csv("small.fam", sep="\t", index=False, header=False)
    pheno["FID"] = "fam" + (pheno["IID"].str.removeprefix("i").astype(int) // 6).astype(str)
    write_table(pheno, "pheno.txt")
    gwas("--formula", "height ~ (1 | FID)")
    expected = hd.scan("height ~ (1 | FID)", people().astype({"height": float}), "small").table
    assert "FID_variance" in expected
    same(table(), expected)


def test_minus_nine_in_covariates_is_reported(gwas):
    covar = pd.read_csv("covar.txt", sep="\t")
    covar.loc[:4, "age"] = -9
    write_table(covar, "covar.txt")
    err = gwas("--pheno-name", "height", "--covar", "covar.txt", "--covar-name", "age")
    assert "age: 5 values of -9 are used as numbers; write NA where it is missing" in err


def test_traits_and_covariates_in_one_file(gwas):
    both = pd.read_csv("pheno.txt", sep="\t").merge(pd.read_csv("covar.txt", sep="\t"), on=["FID", "IID"])
    write_table(both, "pheno.txt")
    gwas("--pheno-name", "height", "--covar", "pheno.txt", "--covar-name", "age")
    same(table(), hd.scan("height ~ age", people(), "small", relationship="grm").table, rtol=1e-7)


@pytest.mark.parametrize(("others", "written"), [("1", "23"), ("29", "X")])
def test_x_is_23_in_humans_only(gwas, others, written):
    bim = pd.read_csv("small.bim", sep="\t", header=None, dtype=str)
    bim[0] = [others] * (M - 10) + ["X"] * 10
    bim.to_csv("small.bim", sep="\t", header=False, index=False)
    gwas("--pheno-name", "height")
    with gzip.open("out.height.tsv.gz", "rt") as file:
        text = pd.read_csv(file, sep="\t", dtype=str)
    assert text["chromosome"].iloc[-1] == written
    assert table()["chromosome"].iloc[-1] == "X"
