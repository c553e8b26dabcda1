"""What `henderson gwas` says about input it cannot use: one sentence and status 2."""

import os

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from command_runs import henderson, names, refused, write_table
from henderson.covariance import RelationshipMatrix
from henderson.genotype import Samples
from henderson.io.relationship_files import write_grm

BASIC = ("gwas", "--bfile", "small", "--pheno", "pheno.txt", "--pheno-name", "height", "--out", "out")
BY_FORMULA = (
    "gwas",
    "--bfile",
    "small",
    "--pheno",
    "pheno.txt",
    "--covar",
    "covar.txt",
    "--out",
    "out",
    "--formula",
)


@pytest.fixture
def says(cohort, capfd):
    """Check that the command line is refused with these words, and leaves no results."""

    def check(tokens, *words):
        sentence = refused(capfd, *tokens)
        for each in words:
            assert each in sentence
        assert names(cohort, "out") in ([], ["out.log"])
        if (cohort / "out.log").exists():
            last = (cohort / "out.log").read_text().splitlines()[-1]
            assert last.startswith("failed: ")
            assert words[0] in last

    return check


def put(*options):
    """The usual command line with options replaced or added."""
    tokens = list(BASIC)
    for name, value in zip(options[::2], options[1::2], strict=True):
        if name in tokens:
            tokens[tokens.index(name) + 1] = value
        else:
            tokens += [name, value]
    return tokens


def changed(ending, change):
    path = f"small{ending}"
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(change(content))


def lines(change):
    return lambda content: b"".join(change(content.splitlines(keepends=True)))


@pytest.mark.parametrize(
    ("ending", "change", "words"),
    [
        (".bed", lambda b: b[:5000], ["small.bed has 5,000 bytes", "make 9,003", "cut short"]),
        (".bed", lambda b: b"", ["small.bed is empty", "300 variants of 120 people"]),
        (".bed", lambda b: b"abc" + b[3:], ["small.bed is no PLINK 1 .bed file", "61 62 63", "6c 1b 01"]),
        (".bed", lambda b: b[:2] + b"\0" + b[3:], ["individual-major", "plink2 --bfile small --make-bed"]),
        (
            ".bim",
            lines(lambda x: x[:200]),
            ["200 variants", "fit 300 variants", ".bim or .fam", "another .bed"],
        ),
        (".fam", lines(lambda x: x[:100]), ["100 people", ".bim or .fam", "another .bed"]),
        (".fam", lines(lambda x: [*x[:-1], x[0]]), ["small.fam, lines 1 and 120", "two people", "f1 i1"]),
        (".bim", lambda b: b.replace(b"\t3000\t", b"\t3e3\t"), ["small.bim, line 3", "position", "'3e3'"]),
        (".bim", lambda b: b.replace(b"\t3000\t", b"\t"), ["small.bim, line 3", "5"]),
    ],
)
def test_a_damaged_fileset(says, ending, change, words):
    changed(ending, change)
    says(BASIC, *words)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("nothing", ["no PLINK fileset nothing.bed, .bim and .fam"]),
        ("smal", ["no PLINK fileset smal.bed", "did you mean small.bed?"]),
        ("elsewhere/small", ["no PLINK fileset elsewhere/small.bed", "no folder elsewhere"]),
        ("cohort.pgen", ["cohort.pgen is no PLINK 1 fileset", "--pfile cohort"]),
        ("cohort.vcf", ["cohort.vcf is no PLINK 1 fileset", "--vcf cohort.vcf"]),
        ("cohort.vcf.gz", ["cohort.vcf.gz is no PLINK 1 fileset", "--vcf cohort.vcf.gz"]),
    ],
)
def test_no_fileset(says, given, words):
    says(put("--bfile", given), *words)


def test_a_fileset_without_its_fam(says):
    os.remove("small.fam")
    says(BASIC, "There is no file small.fam beside small.bed")


def phenotypes():
    return pd.read_csv("pheno.txt", sep="\t")


def test_people_who_do_not_match_at_all(says):
    write_table(phenotypes().assign(IID=lambda t: "x" + t["IID"]), "pheno.txt")
    says(BASIC, "Nobody in pheno.txt is in the genotypes", "f1 i1 and f2 i2 in the genotypes", "in pheno.txt")


def test_people_who_are_joined_by_an_underscore(says):
    write_table(phenotypes().assign(IID=lambda t: t["FID"] + "_" + t["IID"]), "pheno.txt")
    says(BASIC, "Nobody in pheno.txt is in the genotypes", "joined by '_'")


def test_a_person_twice_among_the_phenotypes(says):
    table = phenotypes()
    write_table(pd.concat([table, table.iloc[[4]]]), "pheno.txt")
    fid, iid = table.loc[4, ["FID", "IID"]]
    says(
        BASIC,
        f"pheno.txt: the person FID {fid}, IID {iid} is in line 6 and again in line 122",
        "keep one row",
    )


@pytest.mark.parametrize("header", [True, False])
def test_phenotypes_without_people(says, header):
    phenotypes()[["height", "bmi"]].to_csv("pheno.txt", sep="\t", index=False, header=header, na_rep="NA")
    says(BASIC, "pheno.txt", "IID")


def test_a_slip_among_the_phenotypes(says):
    table = phenotypes().astype({"height": object})
    table.loc[2, "height"] = "1,7"
    table.to_csv("pheno.txt", sep=" ", index=False, na_rep="NA")
    says(BASIC, "pheno.txt, line 4, column height: '1,7' is no number")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--pheno", "phen.txt"), ["There is no file phen.txt; did you mean pheno.txt?"]),
        (("--pheno", "."), ["is a folder"]),
        (("--covar", "covr.txt"), ["There is no file covr.txt; did you mean covar.txt?"]),
        (
            ("--pheno-name", "heigth"),
            ["--pheno-name: pheno.txt has no column 'heigth'; did you mean 'height'?"],
        ),
        (
            ("--pheno-name", "q"),
            ["--pheno-name: pheno.txt has no column 'q'; it has 'height', 'weight', 'bmi'."],
        ),
        (("--covar", "covar.txt", "--covar-name", "agee"), ["no column 'agee'; did you mean 'age'?"]),
        (("--covar-name", "age"), ["--covar-name needs --covar"]),
        (("--interaction", "age"), ["--interaction needs --covar"]),
        (
            ("--covar", "covar.txt", "--interaction", "agee"),
            ["--interaction: the model has no covariate 'agee'; did you mean 'age'?"],
        ),
        (("--covar", "covar.txt", "--interaction", "age", "--test", "exact"), ["leave out --test exact"]),
        (("--covar", "pheno.txt"), ["--pheno and --covar are both pheno.txt", "--covar-name"]),
        (("--formula", "height ~ 1"), ["leave out --pheno-name and --covar-name"]),
        (("--threads", "0"), ["--threads must be 1 or more; it is 0."]),
        (("--threads", "two"), ["--threads", "two", "See: henderson gwas --help"]),
        (("--maf", "2"), ["--maf must lie between 0 and 0.5", "it is 2."]),
        (("--maf", "nan"), ["--maf must lie between 0 and 0.5"]),
        (("--maf", "-0.1"), ["--maf"]),
        (("--geno", "5"), ["--geno must lie between 0 and 1", "it is 5."]),
        (("--mfa", "0.1"), ["Unknown option: --mfa", "Did you mean --maf?", "See: henderson gwas --help"]),
        (("--test", "wald"), ['"wald"', "exact", "null"]),
        (("--grm", "nothing.npz"), ["There is no file nothing.npz"]),
        (("--grm", "small"), ["There is no relationship matrix small"]),
        (("--grm", "covar.txt"), ["covar.txt, line 1, column 1: 'FID' is no number"]),
        (("--out", "nowhere/out"), ["--out: there is no folder nowhere; make it first."]),
        (("--out", "out/"), ["--out: 'out/' names a folder"]),
    ],
)
def test_options(says, options, words):
    says(put(*options), *words)


def test_what_is_needed(says):
    says(["gwas", "--bfile", "small", "--out", "out"], "gwas needs --pheno.", "See: henderson gwas --help")
    says(["gwas", "--pheno", "pheno.txt", "--out", "out"], "Give the genotypes as one of --bfile, ")
    says(["gwas", "--bfile", "small", "--pheno", "--out", "out"], "--pheno", "See: henderson gwas --help")


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("height ~ agee + (1 | family)", ["no column 'agee'; did you mean 'age'?"]),
        ("heigth ~ age", ["no column 'heigth'; did you mean 'height'?"]),
        ("height ~ age + (1 | famly)", ["no column 'famly'; did you mean 'family'?"]),
    ],
)
def test_formulas(says, formula, words):
    says([*BY_FORMULA, formula], *words)


def test_a_formula_that_is_not_closed_is_underlined(cohort, capfd):
    status, _, err = henderson(capfd, *BY_FORMULA, "height ~ age + (1 | family")
    said, formula, mark = err.splitlines()[-3:]

    assert status == 2
    assert said == "henderson: this '(' is never closed"
    assert mark.index("^") == formula.index("(")


def test_a_random_effect_beside_the_matrix(says):
    write_grm(hd.grm("small"), "g.npz")
    says([*BY_FORMULA, "height ~ 1 + (1 | family)", "--grm", "g.npz"], "not supported yet")


def matrix(change):
    G = hd.grm("small")
    return change(G.matrix, G.samples)


def others(M, s):
    return RelationshipMatrix(M, Samples(np.char.add("z", s.fid), np.char.add("z", s.iid)), None)


@pytest.mark.parametrize(
    ("change", "file", "words"),
    [
        (others, "g.npz", ["Nobody in the relationship matrix is in the genotypes", "zf1 zi1"]),
        (
            lambda M, s: RelationshipMatrix(M - 0.5 * np.eye(s.n), s, None),
            "g.npz",
            ["not positive semi-definite", "eigenvalues lie below zero"],
        ),
        (
            lambda M, s: RelationshipMatrix(M[:100, :100], s.take(np.arange(100)), None),
            "g.cXX.txt",
            ["g.cXX.txt has 100 rows", "120 people"],
        ),
    ],
)
def test_a_matrix_that_does_not_fit(says, change, file, words):
    write_grm(matrix(change), file)
    says(put("--grm", file), *words)


def test_a_matrix_that_is_cut_short(says):
    write_grm(hd.grm("small"), "g.grm.bin")
    os.truncate("g.grm.bin", 1000)
    says(put("--grm", "g"), "g.grm.bin has 1,000 bytes")


def test_a_matrix_of_some_people_analyses_those(cohort, capfd):
    G = hd.grm("small")
    write_grm(RelationshipMatrix(G.matrix[20:, 20:], G.samples.take(np.arange(20, 120)), None), "g.npz")
    status, _, err = henderson(capfd, *put("--grm", "g.npz"), "--no-plots")

    assert status == 0
    assert "20 people are not in the relationship matrix and left out: f1 i1, f2 i2, f3 i3 and others." in err
    assert pd.read_parquet("out.height.parquet")["n"].max() == 100


def test_fewer_variants_than_are_shown(cohort, capfd):
    status, _, err = henderson(capfd, *put("--maf", "0.497"), "--no-plots")
    tested = pd.read_parquet("out.height.parquet").dropna(subset="p_value")

    assert status == 0
    assert 0 < len(tested) < 5
    rows = err.split("effect/other")[1].split("\nheight: ")[0].splitlines()[1:]
    assert [row.split()[0] for row in rows] == tested.sort_values("p_value")["rsid"].tolist()
    assert "nan" not in err


def test_no_variant_can_be_tested(cohort, capfd):
    write_grm(hd.grm("small"), "g.npz")
    changed(".bed", lambda b: b[:3] + bytes(len(b) - 3))
    status, _, err = henderson(capfd, *put("--grm", "g.npz"))

    assert status == 0
    assert "height: 0 of 300 variants tested in 120 people" in err
    assert "height: not tested: 300 monomorphic" in err
    assert "nan" not in err
    assert pd.read_parquet("out.height.parquet")["p_value"].isna().all()


def test_an_existing_folder_as_the_name(cohort, capfd):
    (cohort / "results").mkdir()
    sentence = refused(capfd, *put("--out", "results"))

    assert "--out: 'results' names a folder" in sentence
    assert os.path.join("results", "") in sentence
    assert not list((cohort / "results").iterdir())


def test_a_folder_that_cannot_be_written(cohort, capfd, monkeypatch):
    (cohort / "closed").mkdir(mode=0o500)
    if os.access("closed", os.W_OK):  # the superuser may write everywhere
        monkeypatch.setattr("os.access", lambda path, mode: False)
    sentence = refused(capfd, *put("--out", "closed/out"))

    assert "--out: the folder closed cannot be written to." in sentence


def test_a_log_that_cannot_be_written(cohort, capfd):
    (cohort / "out.log").mkdir()
    sentence = refused(capfd, *BASIC)

    assert "out.log cannot be written" in sentence
    assert names(cohort, "out") == ["out.log"]


def test_results_that_cannot_be_written(cohort, capfd):
    (cohort / "out.height.parquet").mkdir()
    sentence = refused(capfd, *BASIC)

    assert "out.height.parquet cannot be written" in sentence
    assert not [name for name in names(cohort, "out") if name.endswith(".partial")]


def test_without_matplotlib_it_says_so_before_the_work(says, monkeypatch):
    monkeypatch.setattr("henderson.cli.common.find_spec", lambda name: None)
    says(BASIC, "plots need matplotlib", "--no-plots")


def test_options_are_judged_before_an_older_log_is_replaced(cohort, capfd):
    (cohort / "out.log").write_text("of a run that went well")
    for options in (("--maf", "2"), ("--threads", "0"), ("--covar-name", "age")):
        refused(capfd, *put(*options))

    assert (cohort / "out.log").read_text() == "of a run that went well"


def test_more_memory_than_there_is(says, monkeypatch):
    monkeypatch.setattr("os.sysconf", lambda name: 4096 if name == "SC_PAGE_SIZE" else 1000)
    says(BASIC, "GB of memory and the machine has 0.0041 GB")


def test_a_matrix_at_hand_and_loco(says):
    says([*put("--grm", "small.npz"), "--loco"], "--loco", "--grm-bfile")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--clump-p1", "0", "--clump-p1 must be above 0 and at most 1, as a p-value; it is 0."),
        ("--clump-p2", "5", "--clump-p2 must be above 0 and at most 1, as a p-value; it is 5."),
        ("--clump-r2", "3", "--clump-r2 must be between 0 and 1, as a squared correlation; it is 3."),
        ("--clump-kb", "nan", "--clump-kb must be above 0, as a distance; it is nan."),
    ],
)
def test_thresholds_of_clumps_are_judged_before_the_scan(cohort, capfd, option, value, words):
    assert words in refused(capfd, *BASIC, "--clump", option, value)
    assert names(cohort, "out") == []


def test_a_mistyped_trait_is_found_before_the_genotypes_are_read(says):
    os.remove("small.bed")
    says(put("--pheno-name", "heigth"), "--pheno-name", "'heigth'", "did you mean 'height'?")
