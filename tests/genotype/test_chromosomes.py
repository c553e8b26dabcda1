"""Kinds of chromosomes: names as files write them, and the pseudo-autosomal regions of PLINK 2."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from henderson.errors import DataError
from henderson.genotype import ArraySource
from henderson.genotype.chromosomes import Kind, autosomal, chromosome_kinds, plain_names

#: What `plink2 --split-par` left on X of these positions (the others were PAR1 or PAR2).
POSITIONS = [
    2699519, 2699520, 2699521, 2709520, 2709521, 2709522, 2781478, 2781479, 2781480, 154584236, 154584237,
    154584238, 154931043, 154931044, 154931045, 155701382, 155701383, 155701384,
]  # fmt: skip
LEFT_ON_X = {
    "b36": [2709522, 2781478, 2781479, 2781480, 154584236],
    "b37": [
        2699521, 2709520, 2709521, 2709522, 2781478, 2781479, 2781480, 154584236, 154584237, 154584238,
        154931043,
    ],
    "b38": [
        2781480, 154584236, 154584237, 154584238, 154931043, 154931044, 154931045, 155701382,
    ],
}  # fmt: skip


def kinds(names, positions=None, **options):
    variants = ArraySource.of(np.zeros((len(names), 1))).variants
    positions = variants.position if positions is None else np.array(positions)
    named = replace(variants, chromosome=np.array(names), position=positions)
    return [Kind(kind).name for kind in chromosome_kinds(named, **options)]


@pytest.mark.parametrize("prefix", ["", "chr", "CHR"])
def test_human_names(prefix):
    expected = {
        "AUTOSOME": ["1", "01", "22"],
        "X": ["X", "x", "23"],
        "Y": ["Y", "24"],
        "PAR": ["XY", "25", "PAR1", "par2"],
        "MT": ["MT", "M", "26", "m"],
        "UNPLACED": ["0", "GL000192.1", "1A", "Un_1", "27_random"],
    }
    for kind, names in expected.items():
        assert kinds([prefix + name for name in names]) == [kind] * len(names)


def test_names_of_two_characters():
    # What PLINK 2 writes with --output-chr 0M, and reads again
    assert kinds(["01", "0X", "0Y", "XY", "0M"]) == ["AUTOSOME", "X", "Y", "PAR", "MT"]


def test_without_a_name():
    assert kinds(["", "chr"]) == ["UNPLACED", "UNPLACED"]


def test_digits_that_are_no_numbers():
    assert kinds(["\u00b2", "1" * 5000, "-1", "1.0"]) == ["UNPLACED"] * 4


@pytest.mark.parametrize(("number", "expected"), [(19, "X"), (20, "AUTOSOME"), (16, "MT")])
def test_number_of_autosomes_is_given(number, expected):
    assert kinds(["20"], autosome_num=number) == [expected]


def test_numbers_beyond_26_are_autosomes():
    assert kinds(["23", "29", "X"]) == ["AUTOSOME", "AUTOSOME", "X"]
    assert kinds(["23", "26"]) == ["X", "MT"]
    assert kinds(["23", "29", "30"], autosome_num=29) == ["AUTOSOME", "AUTOSOME", "X"]


@pytest.mark.parametrize(
    ("names", "plink"),
    [(("hg18", "NCBI36", "b36"), "b36"), (("hg19", "GRCh37"), "b37"), (("hg38", "grch38"), "b38")],
)
def test_pseudo_autosomal_regions(names, plink):
    for build in names:
        found = kinds(["X"] * len(POSITIONS), POSITIONS, build=build)
        assert [p for p, kind in zip(POSITIONS, found, strict=True) if kind == "X"] == LEFT_ON_X[plink]
        assert kinds(["1", "Y"], [1, 1], build=build) == ["AUTOSOME", "Y"]


def test_mistakes():
    with pytest.raises(DataError, match="the build 'hg37' is not known: it is one of hg18"):
        kinds(["1"], build="hg37")
    with pytest.raises(DataError, match="must be 1 or more; it is 0"):
        kinds(["1"], autosome_num=0)


@given(st.lists(st.text(max_size=6), min_size=1, max_size=8), st.integers(1, 40))
def test_any_name_has_a_kind_and_a_plain_name(names, number):
    array = np.array(names, dtype=np.str_)
    plain = plain_names(array, number)
    assert plain_names(plain, number).tolist() == plain.tolist() or any("chr" in p.lower() for p in plain)
    assert len(kinds(array.tolist(), autosome_num=number)) == len(names)


def test_autosomal_follows_what_is_said_already():
    source = ArraySource.of(np.zeros((3, 1)))
    source = replace(source, variants=replace(source.variants, chromosome=np.array(["23", "22", "0"])))
    assert autosomal(source).tolist() == [False, True, True]
    said = replace(source.variants, kind=np.full(3, Kind.AUTOSOME, dtype=np.int8))
    assert autosomal(replace(source, variants=said)).all()
