import re
import shutil

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from command_runs import M, N, henderson, log_lines, names, refused, write_table
from henderson.genotype.blocks import variant_filter
from henderson.io.phenotypes import read_phenotypes
from henderson.io.plink1 import open_plink1
from henderson.io.relationship_files import write_grm


@pytest.fixture
def command(cohort, capfd):
    def call(*tokens, status=0):
        code, out, err = henderson(capfd, *tokens)
        assert code == status, err
        assert not out
        return err

    return call


GRM = ("grm", "--bfile", "small", "--out", "out")


@pytest.mark.parametrize(
    ("format", "scale", "files"),
    [
        ("npz", "standardized", ["out.npz"]),
        ("gcta", "standardized", ["out.grm.bin", "out.grm.id", "out.grm.N.bin"]),
        ("gemma", "standardized", ["out.sXX.txt"]),
        ("gemma", "centered", ["out.cXX.txt"]),
    ],
)
def test_grm_writes_what_hd_grm_gives(command, cohort, format, scale, files):
    err = command(*GRM, "--format", format, "--scale", scale)
    digits = {"npz": 1e-14, "gcta": 1e-6, "gemma": 1e-9}[format]

    assert names(cohort, "out") == sorted([*files, "out.grm.log"])
    expected = hd.grm("small", scale=scale)
    found = hd.read_grm(files[0], samples=open_plink1("small").samples)
    np.testing.assert_allclose(
        found.matrix, expected.matrix, rtol=0, atol=digits * np.abs(expected.matrix).max()
    )
    assert found.samples.iid.tolist() == expected.samples.iid.tolist()
    assert "298 of 300 variants used" in err
    assert f"relationship matrix: {files[0]}" in err
    assert f"option format: {format}" in log_lines("out.grm")
    assert log_lines("out.grm")[-1].startswith("finished in ")


def test_a_sparse_matrix_beside_it(command, cohort):
    err = command(*GRM, "--sparse", "0.02")
    assert names(cohort, "out") == ["out.grm.id", "out.grm.log", "out.grm.sp", "out.npz"]
    G = hd.read_grm("out.npz")
    found = hd.read_sparse_grm("out.grm.sp")
    kept = np.where((G.matrix > 0.02) | np.eye(len(G.matrix), dtype=bool), G.matrix, 0.0)
    np.testing.assert_allclose(found.matrix.toarray(), kept, rtol=1e-12)
    assert list(found.names) == G.samples.iid.tolist()
    assert "sparse relationship matrix: out.grm.sp" in err


def test_grm_of_the_people_called_at_both(command):
    command(*GRM, "--missing", "pairwise", "--variance", "sample", "--maf", "0.1", "--geno", "0.05")

    used = variant_filter(open_plink1("small"), min_maf=0.1, max_missing=0.05)
    assert 0 < used.sum() < M - 2
    expected = hd.grm("small", missing="pairwise", variance="sample", variants=used)
    found = hd.read_grm("out.npz")
    np.testing.assert_allclose(found.matrix, expected.matrix, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(found.n_variants, expected.n_variants)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--bfile", "smal"), ["no PLINK fileset smal.bed", "did you mean small.bed?"]),
        (("--maf", "2"), ["--maf must lie between 0 and 0.5", "it is 2."]),
        (("--geno", "-1"), ["--geno must lie between 0 and 1"]),
        (("--scale", "both"), ['"both"', "standardized", "centered", "See: henderson grm --help"]),
        (("--threads", "0"), ["--threads must be 1 or more"]),
        (("--out", "nowhere/out"), ["there is no folder nowhere"]),
        (("--sparse", "-1"), ["--sparse must be 0 or more", "it is -1"]),
    ],
)
def test_grm_refuses(cohort, capfd, options, words):
    tokens = list(GRM)
    if options[0] in tokens:
        tokens[tokens.index(options[0]) + 1] = options[1]
        options = ()
    sentence = refused(capfd, *tokens, *options)

    for each in words:
        assert each in sentence
    assert names(cohort, "out") in ([], ["out.grm.log"])


def test_grm_without_any_variant_that_varies(cohort, capfd):
    with open("small.bed", "r+b") as file:
        file.seek(3)
        file.write(bytes(M * (N // 4)))
    sentence = refused(capfd, *GRM, "--maf", "0.1", "--geno", "0.5")

    assert "No variant of small" in sentence
    assert "--maf 0.1 and --geno 0.5" in sentence
    assert names(cohort, "out") == ["out.grm.log"]


def with_ids(covariates=False):
    frame = read_phenotypes("pheno.txt").columns.assign(
        iid=pd.read_csv("pheno.txt", sep="\t")["IID"].to_numpy()
    )
    if not covariates:
        return frame
    own = pd.read_csv("covar.txt", sep="\t").rename(columns={"IID": "iid"}).drop(columns="FID")
    return frame.merge(own, how="left", on="iid")


def check_rows(covariates=()):
    table = pd.read_csv("out.h2.tsv", sep="\t").set_index("trait")
    G = hd.grm("small")
    right = " + ".join(["1", *covariates, "(1 | iid)"])
    for trait, row in table.iterrows():
        fit = hd.lmer(f"{trait} ~ {right}", with_ids(bool(covariates)), relationship={"iid": G})
        expected = fit.heritability()
        assert row["n"] == expected.n
        for name in ("h2", "pve", "genetic_variance", "residual_variance", "loglik", "p_value"):
            assert row[name] == pytest.approx(getattr(expected, name), rel=1e-6), name
            if name in ("h2", "pve", "genetic_variance", "residual_variance"):
                assert row[f"{name}_se"] == pytest.approx(
                    getattr(expected, f"{name}_se"), rel=1e-5, nan_ok=True
                ), name
    return list(table.index)


H2 = ("h2", "--pheno", "pheno.txt", "--out", "out")


def test_h2_from_genotypes_equals_lmer(command, cohort):
    err = command(*H2, "--bfile", "small")

    assert sorted(check_rows()) == ["bmi", "height", "weight"]
    assert names(cohort, "out") == ["out.h2.log", "out.h2.tsv"]
    # one line for each trait on the screen, everything in the log
    for trait, n in (("height", N), ("weight", N), ("bmi", N - 4)):
        assert len(re.findall(rf"^{trait}: h2 0\.\d+( \(SE |,).*; {n} people$", err, re.M)) == 1
    assert "Random effects:" not in err
    assert "\n".join(log_lines("out.h2")).count("Random effects:") == 3
    assert "option bfile: small" in log_lines("out.h2")


@pytest.mark.parametrize("format", ["npz", "gcta"])
def test_h2_from_a_file(command, format):
    command("grm", "--bfile", "small", "--out", "g", "--format", format)
    command(*H2, "--grm", "g.npz" if format == "npz" else "g", "--pheno-name", "height")

    if format == "npz":
        assert check_rows() == ["height"]
    else:
        G = hd.grm("small")
        exact = hd.lmer("height ~ 1 + (1 | iid)", with_ids(), relationship={"iid": G}).heritability()
        assert pd.read_csv("out.h2.tsv", sep="\t")["h2"].item() == pytest.approx(exact.h2, rel=1e-4)


def test_h2_with_covariates(command):
    err = command(
        *H2,
        "--bfile",
        "small",
        "--covar",
        "covar.txt",
        "--covar-name",
        "age",
        "sex",
        "--pheno-name",
        "height,bmi",
    )

    assert sorted(check_rows(["age", "sex"])) == ["bmi", "height"]
    assert err.count("10 people are in pheno.txt but not in covar.txt") == 1


def test_a_trait_that_fails_does_not_stop_the_others(command, cohort):
    phenotypes = pd.read_csv("pheno.txt", sep="\t")
    write_table(phenotypes.assign(flat=1.5, nothing=np.nan), "pheno.txt")
    err = command(*H2, "--bfile", "small", status=1)

    assert sorted(pd.read_csv("out.h2.tsv", sep="\t")["trait"]) == ["bmi", "height", "weight"]
    for text in (err, "\n".join(log_lines("out.h2"))):
        assert "not analysed: flat: " in text
        assert "not analysed: nothing: " in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), ["Give either --grm", "such as --bfile"]),
        (
            ("--bfile", "small", "--maf", "0.1", "--grm", "g.npz"),
            ["Give either --grm", "leave out --bfile, --maf"],
        ),
        (("--grm", "g.sXX.txt"), ["g.sXX.txt does not say who its rows are", "henderson grm"]),
        (("--grm", "g.np"), ["There is no relationship matrix g.np; did you mean g.npz?"]),
        (("--grm", "g.npz", "--pheno-name", "heigt"), ["no column 'heigt'; did you mean 'height'?"]),
        (("--grm", "g.npz", "--covar-name", "age"), ["--covar-name needs --covar"]),
        (("--grm", "g.npz", "--threads", "-1"), ["--threads must be 1 or more"]),
        (("--bfile", "cut"), ["cut.bed has 100 bytes", "cut short"]),
    ],
)
def test_h2_refuses(cohort, capfd, options, words):
    write_grm(hd.grm("small"), "g.npz")
    write_grm(hd.grm("small"), "g.sXX.txt")
    for ending in (".bed", ".bim", ".fam"):
        shutil.copy(f"small{ending}", f"cut{ending}")
    with open("cut.bed", "r+b") as file:
        file.truncate(100)
    sentence = refused(capfd, *H2, *options)

    for each in words:
        assert each in sentence
    assert names(cohort, "out") in ([], ["out.h2.log"])


def test_the_only_trait_that_fails_is_refused(cohort, capfd):
    write_table(pd.read_csv("pheno.txt", sep="\t").assign(flat=1.5), "pheno.txt")
    sentence = refused(capfd, *H2, "--bfile", "small", "--pheno-name", "flat")

    assert "check the column 'flat' (is it constant?)" in sentence
    assert names(cohort, "out") == ["out.h2.log"]


def test_pictures_of_a_matrix(capfd, cohort):
    status, _, err = henderson(capfd, "grm", "--bfile", "small", "--plots", "--out", "drawn")
    assert status == 0, err
    for name in ("drawn.map.png", "drawn.histogram.png"):
        assert (cohort / name).read_bytes().startswith(b"\x89PNG")
        assert name in err


def test_liability(capfd, cohort):
    table = pd.read_csv("pheno.txt", sep="\t")
    table["ill"] = (table["height"] > table["height"].median()).astype(int)
    table[["FID", "IID", "ill", "height"]].to_csv("ill.txt", sep="\t", index=False)
    tokens = ("h2", "--bfile", "small", "--pheno", "ill.txt")
    status, _, err = henderson(capfd, *tokens, "--prevalence", "0.01", "--out", "ill")
    assert status == 0, err
    found = pd.read_csv("ill.h2.tsv", sep="\t").set_index("trait")
    # half of them are cases: K^2 (1 - K)^2 / (z^2 P (1 - P)), z the normal density at the threshold
    K, P = 0.01, table["ill"].mean()
    z = np.exp(-0.5 * 2.3263478740408408**2) / np.sqrt(2 * np.pi)
    expected = found.loc["ill", "h2"] * (K * (1 - K)) ** 2 / (z**2 * P * (1 - P))
    assert found.loc["ill", "h2_liability"] == pytest.approx(expected, rel=1e-6)
    assert np.isnan(found.loc["height", "h2_liability"])
    assert "for a prevalence of 0.01" in err
    assert "--prevalence" in refused(capfd, *tokens, "--prevalence", "1.5", "--out", "no")
