"""Genotypes on the command line: which people and variants are left, what is said, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import henderson as hd
from command_runs import EMPTY, MONOMORPHIC, M, N, henderson, log_lines, names, refused
from gwas_reference import GWAS, needs_gwas_reference
from henderson.association.rules import ScanRules
from henderson.cli.chosen_variants import on_chromosomes
from henderson.cli.genotype_options import GenotypeOptions, rules_of
from henderson.errors import DataError
from henderson.genotype import ArraySource, variant_filter
from henderson.genotype.hwe import hwe_p_values
from henderson.io.plink1 import open_plink1
from plink_files import write_plink

GRM = ("grm", "--bfile", "small", "--out", "out")


@pytest.fixture
def command(cohort, capfd):
    def call(*tokens, status=0):
        code, out, err = henderson(capfd, *tokens)
        assert code == status, err
        assert not out
        return err

    return call


@pytest.fixture
def chromosomes(cohort):
    """Gives the variants of the fileset chromosomes 1, 2, 3, X, Y, and the first half of the people men."""

    def place(names=("1", "2", "3", "X", "Y")):
        table = pd.read_csv("small.bim", sep="\t", header=None)
        table[0] = np.repeat(names, M // len(names))
        table[3] = np.tile(np.arange(1, 1 + M // len(names)) * 1_000_000, len(names))
        table.to_csv("small.bim", sep="\t", header=False, index=False)
        people = pd.read_csv("small.fam", sep="\t", header=None)
        people[4] = np.where(np.arange(N) < N // 2, 1, 2)
        people.to_csv("small.fam", sep="\t", header=False, index=False)

    place()
    return place


def check_matrix(variants, people=None):
    found = hd.read_grm("out.npz")
    expected = hd.grm("small", variants=variants, samples=people)
    np.testing.assert_allclose(found.matrix, expected.matrix, rtol=1e-12, atol=1e-14)
    assert found.samples.iid.tolist() == expected.samples.iid.tolist()


def test_people_and_variants_are_chosen_before_anything_is_judged(command):
    Path("some.txt").write_text("FID IID\n" + "".join(f"f{k} i{k}\n" for k in range(1, 61)) + "x y\n")
    Path("others.txt").write_text("i3\ni4\n")
    Path("variants.txt").write_text("".join(f"v{k}\n" for k in range(1, 101)))
    Path("not.txt").write_text("1 1000 5000\n")
    err = command(
        *GRM, "--keep", "some.txt", "--remove", "others.txt", "--extract", "variants.txt",
        "--exclude", "not.txt", "--maf", "0.2",
    )  # fmt: skip

    assert (
        "small: 120 people, 300 variants; --keep: 60 people; --remove: 58 people; --extract: 100 variants; "
        "--exclude: 95 variants"
    ) in err
    assert "--keep: 1 person of some.txt is not in the genotypes: x y" in err
    people = np.array([k for k in range(60) if k not in (2, 3)])
    source = open_plink1("small")
    used = variant_filter(source, people, min_maf=0.2)
    used[np.r_[0:5, 100:M]] = False
    assert f"{used.sum()} of 95 variants used; " in err
    assert "allele frequency below 0.2" in err
    check_matrix(used, people)
    assert "option keep: some.txt" in log_lines("out.grm")
    assert not any("option zarr" in line for line in log_lines("out.grm"))


def test_everything_that_is_left_out_has_a_reason(command):
    err = command(*GRM, "--geno", "0.03", "--mac", "30", "--hwe", "0.05")

    calls = open_plink1("small").read(slice(0, M))
    missing = (calls < 0).sum(axis=1) > 0.03 * N
    total, called = np.where(calls < 0, 0, calls).sum(axis=1), (calls >= 0).sum(axis=1)
    rare = np.minimum(total, 2 * called - total) < 30
    unlikely = hwe_p_values(np.stack([(calls == k).sum(axis=1) for k in range(3)], axis=1)) < 0.05
    constant = np.isin(np.arange(M), [MONOMORPHIC, EMPTY])
    assert (missing & ~constant).any()
    used = ~(constant | missing | rare | unlikely)
    missing &= ~constant
    rare &= ~(constant | missing)
    unlikely &= ~(constant | missing | rare)
    assert f"{used.sum()} of 300 variants used" in err
    for count, reason in (
        (missing.sum(), "missing rate above 0.03"), (rare.sum(), "allele count below 30"),
        (unlikely.sum(), "Hardy-Weinberg p below 0.05"), (1, "monomorphic"), (1, "no calls"),
    ):  # fmt: skip
        assert f"; {count} {reason}" in err
    check_matrix(used)


def test_people_with_many_missing_calls(command):
    missing = (open_plink1("small").read(slice(0, 100)) < 0).sum(axis=0)
    limit = np.sort(missing)[-4]
    lost = np.flatnonzero(missing > limit)
    assert 0 < lost.size < 4
    Path("variants.txt").write_text("".join(f"v{k}\n" for k in range(1, 101)))
    err = command(*GRM, "--extract", "variants.txt", "--mind", str(limit / 100))

    assert f"; --mind: {N - lost.size} people" in err
    assert f"more calls than {limit / 100:g} of 100 variants: " in err
    assert f"f{lost[0] + 1} i{lost[0] + 1}" in err
    used = np.arange(M) < 100
    check_matrix(used, np.setdiff1d(np.arange(N), lost))


def test_women_are_not_judged_by_y(command, chromosomes):
    """All calls of women on Y are missing, and 60 of 300 variants are there."""
    calls = open_plink1("small").read(slice(0, M)).copy()
    variants = open_plink1("small").variants
    calls[variants.chromosome == "Y", N // 2 :] = -1
    people = Path("small.fam").read_text()
    write_plink("small", calls, variants=variants)
    Path("small.fam").write_text(people)
    err = command(*GRM, "--mind", "0.1")
    assert "--mind: 120 people" in err


def test_sex_chromosomes_make_a_relationship_only_if_asked(command, chromosomes):
    err = command(*GRM)
    chromosome = open_plink1("small").variants.chromosome
    assert "120 variants on sex chromosomes or in mitochondria are not used" in err
    assert "heterozygous calls of men on X, at " in err
    assert "of women, or heterozygous ones, on Y, at " in err
    check_matrix(~np.isin(chromosome, ["X", "Y"]))

    err = command(*GRM, "--chr", "2-3,X")
    assert "small: 120 people, 300 variants; --chr: 180 variants" in err
    check_matrix(np.isin(chromosome, ["2", "3", "X"]))


def test_build(command, chromosomes):
    # X has positions 1 to 60 million, of which hg19 calls the first two pseudo-autosomal
    with_build = command(*GRM, "--chr", "X", "--build", "hg19", "--to-bp", "2500000")
    assert "heterozygous" not in with_build
    assert "since the build is not said" in command(*GRM, "--chr", "X", "--to-bp", "2500000")


def test_stretch_of_a_chromosome(command, chromosomes):
    err = command(*GRM, "--chr", "chr2", "--from-bp", "5000000", "--to-bp", "20000000")
    assert "--chr: 60 variants; --from-bp: 56 variants; --to-bp: 16 variants" in err
    check_matrix(np.arange(64, 80))


def test_h2_takes_the_same_options(command):
    Path("some.txt").write_text("".join(f"f{k} i{k}\n" for k in range(1, 101)))
    err = command(
        "h2", "--bfile", "small", "--pheno", "pheno.txt", "--pheno-name", "height", "--out", "out",
        "--keep", "some.txt", "--maf", "0.1",
    )  # fmt: skip
    assert "--keep: 100 people" in err
    people = np.arange(100)
    used = variant_filter(open_plink1("small"), people, min_maf=0.1)
    assert f"{used.sum()} of 300 variants used" in err
    G = hd.grm("small", variants=used, samples=people)
    table = pd.read_csv("pheno.txt", sep="\t").rename(columns={"IID": "iid"})
    expected = hd.lmer(
        "height ~ 1 + (1 | iid)", table[table["iid"].isin(G.samples.iid)], relationship={"iid": G}
    )
    [h2] = pd.read_csv("out.h2.tsv", sep="\t")["h2"]
    assert h2 == pytest.approx(expected.heritability().h2, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), ["Give the genotypes as one of --bfile, --pfile, --bgen, --vcf or --zarr."]),
        (("--bfile", "small", "--vcf", "x.vcf"), ["one of --bfile", "not --bfile and --vcf at once"]),
        (("--bfile", "small", "--sample", "x"), ["--sample", "needs --bgen"]),
        (("--bfile", "small", "--mac", "-1"), ["--mac must be 0 or more; it is -1."]),
        (("--bfile", "small", "--mind", "1.5"), ["--mind must lie between 0 and 1; it is 1.5."]),
        (("--bfile", "small", "--maf", "nan"), ["--maf must lie between 0 and 0.5", "it is nan"]),
        (("--bfile", "small", "--from-bp", "5"), ["--from-bp", "give that with --chr"]),
        (("--bfile", "small", "--to-bp", "5", "--chr", "1-2"), ["--to-bp", "one chromosome"]),
        (("--bfile", "small", "--autosome-num", "0"), ["--autosome-num must be 1 or more; it is 0."]),
        (("--bfile", "small", "--build", "hg37"), ["the build 'hg37' is not known", "hg38"]),
        (
            ("--bfile", "small", "--info", "0.3"),
            ["--info) tells how well dosages are imputed", "leave it out"],
        ),
        (
            ("--bfile", "small", "--chr", "7"),
            ["--chr 7: no variant is there; the genotypes have chromosome 1."],
        ),
        (("--bfile", "small", "--chr", "1-x"), ["'1-x' is no chromosome of these genotypes, nor a range"]),
        (("--bfile", "small", "--chr", "4-1"), ["the range 4-1 ends before it begins; write 1-4"]),
        (("--bfile", "small", "--keep", "non.txt"), ["There is no file non.txt"]),
        (("--bfile", "small", "--extract", "pheno.txt"), ["pheno.txt, line 1", "one identifier per line"]),
        (("--bfile", "small", "--remove", "pheno.txt"), ["--remove leaves no people"]),
        (("--bfile", "small", "--mind", "0"), ["--mind leaves no people"]),
        (("--bfile", "small", "--chr", "1", "--from-bp", "999999"), ["--from-bp leaves no variants"]),
        (("--bfile", "small", "--chr", "one"), ["--chr one: no variant is there"]),
        (("--bfile", "small", "--from-bp", "x", "--chr", "1"), ['"x"', "See: henderson grm --help"]),
    ],
)
def test_mistakes(cohort, capfd, options, words):
    sentence = refused(capfd, "grm", "--out", "out", *options)
    for each in words:
        assert each in sentence
    assert names(cohort, "out") in ([], ["out.grm.log"])


def test_a_chosen_chromosome_of_another_species_is_no_human_x(command, chromosomes):
    """Which numbers are autosomes is seen in all of the file, not in what --chr leaves of it."""
    chromosomes(("1", "22", "23", "24", "29"))
    said = command(*GRM, "--chr", "23", "--mind", "0.5")
    assert "there is a chromosome 29" in said
    assert "men" not in said
    check_matrix(np.repeat(np.arange(5) == 2, M // 5))


def test_only_sex_chromosomes(chromosomes, capfd):
    chromosomes(("X", "Y"))
    assert "are on sex chromosomes or in mitochondria; name these chromosomes (--chr)" in refused(capfd, *GRM)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", ["1", "chr1"]),
        ("1-4", ["1", "chr1", "2", "4"]),
        ("1-4,X", ["1", "chr1", "2", "4", "X", "23"]),
        ("22-24", ["22", "X", "23", "chrY"]),
        ("chr1 , chrX", ["1", "chr1", "X", "23"]),
        ("NW-1-2,4", ["4", "NW-1-2"]),
        ("mt", ["26"]),
        (",4,", ["4"]),
    ],
)
def test_chromosomes_of_a_list(text, expected):
    names = np.array(["1", "chr1", "2", "4", "22", "X", "23", "chrY", "26", "NW-1-2"])
    variants = replace(ArraySource.of(np.zeros((names.size, 1))).variants, chromosome=names)
    kept, notice = on_chromosomes(variants, text)
    assert names[kept].tolist() == expected
    assert not notice


def test_a_chromosome_that_is_not_there_is_said(command):
    assert "--chr: there is no variant on chromosome 7, X" in command(*GRM, "--chr", "1,7,X")


def test_rules():
    said = rules_of(GenotypeOptions(bfile="x", geno=0.1, mac=5, hwe=1e-6, info=0.3), ScanRules.like_gemma())
    assert said == ScanRules(min_maf=0.01, max_missing=0.1, min_mac=5, min_hwe=1e-6, min_info=0.3, gemma=True)
    assert rules_of(GenotypeOptions(), ScanRules()) == ScanRules()


@pytest.mark.parametrize("command_name", ["grm", "h2"])
def test_help_groups_the_options(capfd, command_name):
    _, out, _ = henderson(capfd, command_name, "--help")
    places = [out.index(f" {title} ") for title in ("Parameters", "Genotypes", "Filters")]
    assert places == sorted(places)
    for option in ("--bfile", "--pfile", "--from-bp", "--autosome-num", "--info"):
        assert out.index(option) > places[1]


@needs_gwas_reference
def test_other_formats_and_info(capfd, tmp_path, monkeypatch):
    pytest.importorskip("pgenlib")
    monkeypatch.chdir(tmp_path)
    prefix = GWAS / "data/formats/hm3_c22_ds"
    status, _, err = henderson(
        capfd, "grm", "--pfile", prefix, "--out", "out", "--info", "1.0", "--chr", "22"
    )
    assert status == 0, err
    # so many of the 302 are below one by plink2 --freq cols=+machr2
    assert "141 of 302 variants used; 161 info below 1" in err


@needs_gwas_reference
def test_missing_rates_are_those_of_plink2(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = pd.read_csv(GWAS / "expected/formats/plink2/hm3.smiss.gz", sep="\t")
    limit = np.sort(table["F_MISS"])[-3]
    lost = table[table["F_MISS"] > limit]
    status, _, err = henderson(
        capfd, "grm", "--bfile", GWAS / "data/formats/hm3", "--out", "out", "--mind", limit * (1 + 1e-9)
    )
    assert status == 0, err
    assert f"--mind: {957 - len(lost)} people" in err
    assert all(person in err for person in lost["IID"])


@given(st.text(alphabet="0123XYMT-, chr\u00b2", max_size=8))
def test_any_list_of_chromosomes_is_understood_or_refused(text):
    variants = ArraySource.of(np.zeros((1, 1))).variants
    try:
        kept, _ = on_chromosomes(variants, text)
    except DataError:
        return
    assert kept.all()
