"""What stands behind `henderson pca`, `clump` and `convert`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from command_runs import HIT, log_lines, names, refused
from henderson.association.clump import clump
from henderson.association.pca import pca
from henderson.cli.clump import run_clump
from henderson.cli.convert import run_convert
from henderson.cli.genotype_options import GenotypeOptions
from henderson.cli.pca import run_pca
from henderson.errors import DataError
from henderson.genotype.blocks import variant_filter
from henderson.io.plink1 import open_plink1
from henderson.io.sumstats import read_sumstats
from henderson.io.sumstats_write import write_sumstats


@pytest.fixture
def table(cohort):
    """A regression of height on each variant of the small cohort, in a Parquet file."""
    source = open_plink1("small")
    calls = source.read(slice(0, source.variants.m)).astype(float)
    height = pd.read_csv("pheno.txt", sep="\t").set_index("IID").loc[source.samples.iid, "height"].to_numpy()
    calls[calls < 0] = 0
    x = calls - calls.mean(axis=1, keepdims=True)
    y = height - height.mean()
    squares = (x**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        beta = x @ y / squares
        se = np.sqrt(((y - beta[:, None] * x) ** 2).sum(axis=1) / 118 / squares)
    from henderson.linalg.tails import neg_log10_t

    logs = neg_log10_t(beta / se, 118)
    v = source.variants
    result = pd.DataFrame(
        {
            "chromosome": v.chromosome, "base_pair_location": v.position, "effect_allele": v.effect_allele,
            "other_allele": v.other_allele, "beta": beta, "standard_error": se,
            "effect_allele_frequency": calls.mean(axis=1) / 2, "p_value": 10.0**-logs,
            "neg_log_10_p_value": logs, "rsid": v.identifier, "n": 120,
        }
    )  # fmt: skip
    result.to_parquet("scan.parquet")
    return result


def test_pca(cohort, capfd):
    run_pca(GenotypeOptions(bfile="small", maf=0.1), n=4, out="out", threads=1, plots=True)
    err = capfd.readouterr().err
    assert names(cohort, "out") == ["out.eigenval", "out.eigenvec", "out.pca.log", "out.pca.png"]
    source = open_plink1("small")
    expected = pca(source, 4, variants=variant_filter(source, min_maf=0.1))
    found = pd.read_csv("out.eigenvec", sep="\t")
    assert found["IID"].tolist() == source.samples.iid.tolist()
    assert np.allclose(found[["PC1", "PC2", "PC3", "PC4"]], expected.scores, atol=1e-9)
    assert f"{expected.n_variants} of 300 variants used" in err
    assert "share of the variance: " in err
    assert "from the eigenvectors of the relationship matrix of 120 people" in err
    assert log_lines("out.pca")[-1].startswith("finished in ")


def test_pca_is_of_autosomes_unless_chromosomes_are_named(cohort, capfd):
    sites = pd.read_csv("small.bim", sep="\t", header=None)
    sites.loc[:99, 0] = 23
    sites.to_csv("small.bim", sep="\t", header=False, index=False)
    options = {"n": 2, "out": "out", "threads": 1, "plots": False}
    run_pca(GenotypeOptions(bfile="small"), **options)
    assert "100 variants on sex chromosomes or in mitochondria are not used" in capfd.readouterr().err
    source = open_plink1("small")
    expected = pca(source, 2, variants=np.arange(100, 300))
    assert np.allclose(np.loadtxt("out.eigenval"), expected.eigenvalues, rtol=1e-9)
    run_pca(GenotypeOptions(bfile="small", chr="X"), **options)
    expected = pca(hd.open_genotypes("small"), 2, variants=np.arange(100))
    assert np.allclose(np.loadtxt("out.eigenval"), expected.eigenvalues, rtol=1e-9)


def test_pca_of_no_components(cohort):
    with pytest.raises(DataError, match="--n is the number of components, at least 1; it is 0"):
        run_pca(GenotypeOptions(bfile="small"), n=0, out="out", threads=1, plots=False)
    assert names(cohort, "out") == []


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["pca"], "Give the genotypes as one of --bfile"),
        (["clump", "scan.parquet"], "Give the genotypes as one of --bfile"),
        (["clump", "scan.parquet", "--bfile", "small", "--r2", "2"], "--r2 must be between 0 and 1"),
    ],
)
def test_options_are_judged_before_the_log_is_written(cohort, capfd, tokens, words):
    assert words in refused(capfd, *tokens, "--out", "out")
    assert names(cohort, "out") == []


def test_pca_without_a_plot(cohort):
    run_pca(GenotypeOptions(bfile="small"), n=1, out="out", threads=1, plots=True)
    assert names(cohort, "out") == ["out.eigenval", "out.eigenvec", "out.pca.log"]


def test_components_are_a_file_of_covariates(cohort):
    run_pca(GenotypeOptions(bfile="small"), n=2, out="out", threads=1, plots=False)
    assert list(hd.read_phenotypes("out.eigenvec").columns)[-2:] == ["PC1", "PC2"]


def test_clump(cohort, table, capfd):
    thresholds = {"p1": 0.01, "p2": 0.5, "r2": 0.01, "kb": 20}
    run_clump("scan.parquet", GenotypeOptions(bfile="small"), **thresholds, out="out")
    err = capfd.readouterr().err
    assert names(cohort, "out") == ["out.clump.log", "out.clumps.tsv"]
    expected = clump(table, "small", **thresholds)
    found = pd.read_csv("out.clumps.tsv", sep="\t", keep_default_na=False, dtype={"chromosome": str})
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    assert found["rsid"][0] == f"v{HIT + 1}"
    assert found["total"].max() > 0
    assert f"{len(expected)} clumps (p <= 0.01, r2 >= 0.01 within 20 kb)" in err
    assert f"  v{HIT + 1} at 1:{1000 * (HIT + 1):,}: -log10 p" in err


def test_clump_of_common_variants(cohort, table):
    thresholds = {"p1": 0.05, "p2": 0.5, "r2": 0.01, "kb": 20}
    run_clump("scan.parquet", GenotypeOptions(bfile="small", maf=0.3), **thresholds, out="out")
    kept = variant_filter(open_plink1("small"), min_maf=0.3)
    found = pd.read_csv("out.clumps.tsv", sep="\t")["rsid"]
    assert set(found) <= set(table["rsid"][kept])
    assert not found.empty


@pytest.mark.parametrize("to", ["plink2", "regenie", "bolt", "cojo", "gwas-ssf"])
def test_convert(cohort, table, to, capfd):
    run_convert("scan.parquet", to=to, out="out.txt.gz")
    write_sumstats(table, "expected.txt.gz", format=to)
    pd.testing.assert_frame_equal(read_sumstats("out.txt.gz"), read_sumstats("expected.txt.gz"))
    err = capfd.readouterr().err
    assert ("2 of 300 variants are left out" in err) == (to != "gwas-ssf")


def test_convert_onto_itself(cohort, table):
    with pytest.raises(DataError, match=r"scan.parquet is the file that is to be read"):
        run_convert("scan.parquet", to="cojo", out="./scan.parquet")
    assert len(read_sumstats("scan.parquet")) == 300
