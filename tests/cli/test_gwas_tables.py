"""One table of many traits, rows by their p-value, and a line for each trait."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import henderson as hd
from command_runs import N, henderson, log_lines, names, refused, write_table
from henderson.cli import gwas_run
from henderson.io.phenotypes import read_phenotypes
from henderson.linalg.inflation import lambda_gc

BASIC = ("gwas", "--bfile", "small", "--pheno", "pheno.txt", "--no-plots", "--out")
TRAITS = ["height", "weight", "bmi"]


@pytest.fixture
def gwas(cohort, capfd):
    def call(*options, out="out", status=0):
        code, stdout, err = henderson(capfd, *BASIC, out, *options)
        assert code == status, err
        assert not stdout
        return err

    return call


def table(trait, out="out"):
    return pd.read_parquet(f"{out}.{trait}.parquet")


def summary(out="out"):
    return pd.read_csv(f"{out}.traits.tsv", sep="\t").set_index("trait")


def test_a_line_for_each_trait(gwas):
    gwas()
    lines = summary()

    people = read_phenotypes("pheno.txt")
    assert lines.index.tolist() == TRAITS
    for trait in TRAITS:
        own, line = table(trait), lines.loc[trait]
        frame = people.columns.assign(FID=people.samples.fid, IID=people.samples.iid)
        found = hd.scan(f"{trait} ~ 1", frame, "small", relationship="grm")
        h = found.null.heritability()
        assert line["n"] == found.null.nobs
        assert line["h2"] == pytest.approx(h.h2, rel=1e-9, abs=1e-12)
        assert line["genetic_variance"] == pytest.approx(h.genetic_variance, rel=1e-9, abs=1e-12)
        assert line["residual_variance"] == pytest.approx(h.residual_variance, rel=1e-9)
        best = own.loc[own["p_value"].idxmin()]
        assert line["tested"] == own["p_value"].notna().sum()
        assert line["lambda_gc"] == lambda_gc(own["neg_log_10_p_value"])
        assert (line["rsid"], line["base_pair_location"]) == (best["rsid"], best["base_pair_location"])
        assert (line["p_value"], line["status"]) == (best["p_value"], "ok")


def test_a_line_for_a_model_without_a_relationship(gwas):
    gwas("--formula", "height ~ (1 | family)", "--covar", "covar.txt")

    line = summary().loc["height"]
    assert np.isnan(line["h2"])
    assert line["residual_variance"] > 0
    assert line["n"] == N - 10


@pytest.mark.parametrize("size", [7, 1 << 15])
def test_one_table_has_the_rows_of_all_tables(gwas, cohort, monkeypatch, size):
    monkeypatch.setattr(gwas_run, "MOST_VARIANTS", size)
    gwas(out="each")
    err = gwas("--one-table")

    assert names(cohort, "out") == ["out.log", "out.parquet", "out.traits.tsv"]
    assert "written: out.parquet" in err
    together = pq.read_table("out.parquet")
    assert str(together.schema.field("trait").type).startswith("dictionary<values=string")
    frame = together.to_pandas()
    for trait in TRAITS:
        own = frame[frame["trait"] == trait].drop(columns="trait").reset_index(drop=True)
        pd.testing.assert_frame_equal(own, table(trait, "each"))
    assert Path("out.traits.tsv").read_bytes() == Path("each.traits.tsv").read_bytes()
    options = json.loads(together.schema.metadata[b"henderson.options"])
    assert options["one_table"] is True


@pytest.mark.parametrize("threshold", ["0.05", "1e-9"])
@pytest.mark.parametrize("one", [[], ["--one-table"]])
def test_rows_by_their_p_value(gwas, threshold, one):
    gwas(out="all")
    err = gwas("--pfilter", threshold, *one)

    for trait in TRAITS:
        every = table(trait, "all")
        wanted = every[every["p_value"] <= float(threshold)].reset_index(drop=True)
        if one:
            frame = pd.read_parquet("out.parquet")
            found = frame[frame["trait"] == trait].drop(columns="trait").reset_index(drop=True)
        else:
            found = table(trait)
            text = pd.read_csv(f"out.{trait}.tsv.gz", sep="\t")
            assert text["rsid"].tolist() == wanted["rsid"].tolist()
            assert f"{trait}: 298 of 300 variants tested" in err
        pd.testing.assert_frame_equal(found, wanted)
    assert Path("out.traits.tsv").read_bytes() == Path("all.traits.tsv").read_bytes()


def test_one_table_is_resumed(gwas, cohort, monkeypatch):
    from henderson.cli import run
    from henderson.io.scan_parts import ScanParts

    monkeypatch.setattr(gwas_run, "MOST_VARIANTS", 50)
    gwas("--one-table", "--pfilter", "0.3", out="whole")
    write, count = ScanParts.write, 0

    def counted(self, *args, **named):
        nonlocal count
        count += 1
        if count in (4, 12):  # within the first group, and within the second
            raise KeyboardInterrupt
        write(self, *args, **named)

    monkeypatch.setattr(ScanParts, "write", counted)
    for _ in range(2):
        assert run([*BASIC, "out", "--one-table", "--pfilter", "0.3", "--resume"]) == 130
    gwas("--one-table", "--pfilter", "0.3", "--resume")

    assert count == 14  # twelve parts, two of which were begun twice
    assert pq.read_table("out.parquet").equals(pq.read_table("whole.parquet"))
    assert Path("out.traits.tsv").read_bytes() == Path("whole.traits.tsv").read_bytes()
    assert names(cohort, "out") == ["out.log", "out.parquet", "out.traits.tsv"]


def test_many_traits_need_one_table(gwas, capfd):
    rng = np.random.default_rng(1)
    ids = pd.read_csv("pheno.txt", sep="\t")[["FID", "IID"]]
    many = pd.DataFrame(rng.normal(size=(N, 201)), columns=[f"gene{k}" for k in range(201)])
    write_table(pd.concat([ids, many], axis=1), "pheno.txt")
    sentence = refused(capfd, *BASIC, "out")

    assert "pheno.txt has 201 traits" in sentence
    assert "add --one-table" in sentence
    err = gwas("--one-table", "--test", "null", "--pfilter", "0.001")
    assert len(err.splitlines()) < 15  # nothing is said of each
    assert len(summary()) == 201
    assert sum("gene" in line for line in log_lines("out")) >= 201


def test_a_bad_pfilter(cohort, capfd):
    assert "--pfilter must be above 0 and at most 1" in refused(capfd, *BASIC, "out", "--pfilter", "0")


def test_a_relationship_of_other_genotypes(gwas, capfd, cohort):
    for ending in ("bed", "fam"):
        (cohort / f"other.{ending}").write_bytes((cohort / f"small.{ending}").read_bytes())
    lines = [line.split("\t") for line in Path("small.bim").read_text().splitlines()]
    text = "".join("\t".join([str(1 + k % 2), *line[1:]]) + "\n" for k, line in enumerate(lines))
    Path("other.bim").write_text(text)
    gwas("--pheno-name", "height", "--grm-bfile", "other")
    people = read_phenotypes("pheno.txt")
    frame = people.columns.assign(FID=people.samples.fid, IID=people.samples.iid)
    expected = hd.scan("height ~ 1", frame, "small", relationship=hd.loco("other"))

    pd.testing.assert_frame_equal(table("height"), expected.table, check_dtype=False, rtol=1e-8, atol=1e-12)
    gwas("--pheno-name", "height", "--grm-bfile", "other", "--no-loco", out="all")
    gwas("--pheno-name", "height", out="own")
    pd.testing.assert_frame_equal(table("height", "all"), table("height", "own"))
    sentence = refused(capfd, *BASIC, "out", "--grm-bfile", "other", "--gemma")
    assert "--gemma makes the relationship matrix of the variants that it tests" in sentence


def test_a_covariate_that_effects_depend_on(gwas):
    gwas(
        "--pheno-name", "height", "--covar", "covar.txt", "--covar-name", "age", "--interaction", "age"
    )  # fmt: skip
    gwas("--formula", "height ~ age + snp:age", "--covar", "covar.txt", out="formula")

    frame = table("height")
    assert "beta_gxe_age" in frame
    pd.testing.assert_frame_equal(frame, table("height", "formula"))
    people = read_phenotypes("pheno.txt")
    known = people.columns.assign(FID=people.samples.fid, IID=people.samples.iid)
    known = known.merge(pd.read_csv("covar.txt", sep="\t"), on=["FID", "IID"], how="left")
    expected = hd.scan("height ~ age + snp:age", known, "small", relationship="grm").table
    pd.testing.assert_frame_equal(frame, expected, check_dtype=False, rtol=1e-8, atol=1e-10)


def test_a_variant_as_covariate(gwas):
    gwas("--pheno-name", "height", "--condition", "v41")
    people = read_phenotypes("pheno.txt")
    known = people.columns.assign(FID=people.samples.fid, IID=people.samples.iid)
    expected = hd.scan("height ~ 1", known, "small", relationship="grm", condition=["v41"]).table

    assert table("height").loc[40, "status"] == "follows from the covariates"
    pd.testing.assert_frame_equal(table("height"), expected, check_dtype=False, rtol=1e-7, atol=1e-10)


def test_clumps_of_each_trait(capfd, cohort):
    """`--clump` gives what `henderson clump` makes of the finished table."""
    scan = ("gwas", "--bfile", "small", "--pheno", "pheno.txt", "--pheno-name", "height", "--no-plots")
    status, _, err = henderson(
        capfd, *scan, "--clump", "--clump-p1", "0.01", "--clump-r2", "0.1", "--out", "own"
    )
    assert status == 0, err
    assert "own.height.clumps.tsv" in err
    tokens = (
        "clump",
        "own.height.parquet",
        "--bfile",
        "small",
        "--p1",
        "0.01",
        "--r2",
        "0.1",
        "--out",
        "after",
    )
    assert henderson(capfd, *tokens)[0] == 0
    text = Path("own.height.clumps.tsv").read_text()
    assert text == Path("after.clumps.tsv").read_text()
    assert len(text.splitlines()) > 1
    assert "--one-table" in refused(capfd, *scan, "--clump", "--one-table", "--out", "no")


def test_a_trait_with_an_odd_name_that_has_no_model(capfd, cohort):
    """Its covariate does not vary among those measured: it is named, the other is analysed."""
    table = pd.read_csv("pheno.txt", sep="\t", dtype={"FID": str, "IID": str})
    people = pd.read_csv("covar.txt", sep="\t", dtype=str)
    men = people.loc[people["sex"] == "M", "IID"]
    table["c-d"] = table["weight"].where(table["IID"].isin(men))
    write_table(table[["FID", "IID", "c-d", "height"]], Path("odd.txt"))
    basic = ("gwas", "--bfile", "small", "--pheno", "odd.txt", "--no-plots", "--out", "out")
    covariates = ("--covar", "covar.txt", "--covar-name", "sex", "--interaction", "sex")
    status, _, err = henderson(capfd, *basic, *covariates)
    assert status == 1, err
    summary = pd.read_csv("out.traits.tsv", sep="\t").set_index("trait")
    assert summary.loc["height", "status"] == "ok"
    assert summary.loc["c-d", "status"] != "ok"


def test_one_chromosome_is_not_left_out_and_that_is_said(gwas):
    assert "one chromosome" in gwas()
    assert "one chromosome" not in gwas("--no-loco", "--no-resume")
