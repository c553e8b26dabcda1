"""Lists of people and variants: what is found, what is said, and no traceback whatever the file holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from henderson.errors import DataError
from henderson.genotype import ArraySource
from henderson.genotype.source import Samples
from henderson.io.id_lists import (
    Ranges,
    find_people,
    find_variants,
    read_people_list,
    read_variant_list,
    within,
)

PEOPLE = Samples(np.array(["f1", "f1", "f2", "f3"]), np.array(["a", "b", "c", "d"]))


def variants(names=("rs1", "rs2", "rs3", "rs4"), chromosome=("1", "1", "2", "X"), position=(10, 20, 10, 5)):
    plain = ArraySource.of(np.zeros((len(names), 1))).variants
    return replace(
        plain,
        identifier=np.array(names),
        chromosome=np.array(chromosome),
        position=np.array(position, dtype=np.int64),
    )


@pytest.fixture
def write(tmp_path):
    def call(text):
        path = tmp_path / "list.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return call


@pytest.mark.parametrize(
    "text",
    [
        "f1 b\nf3 d\n",
        "f3\td\r\nf1\tb",
        "FID IID\nf1 b\nf3 d\n",
        "#FID\tIID\tSEX\nf1\tb\t1\nf3\td\t2\n",
        "IID FID\nb f1\nd f3\n",
        "#IID\nb\nd\n",
        "b\n\nd\nb\n",
        "f1 b 0 0 1 -9\nf3 d 0 0 2 -9\n",
        "0 b\n0 d\n",
        "\ufefff1 b\nf3 d\nf1 b\n",
    ],
)
def test_people(write, text):
    found = find_people(PEOPLE, write(text))
    assert found.positions.tolist() == [1, 3]
    assert found.notice == ""


def test_people_who_are_not_there_are_counted_and_named(write):
    path = write("f1 a\n" + "".join(f"g x{k}\n" for k in range(5)))
    found = find_people(PEOPLE, path)
    assert found.positions.tolist() == [0]
    assert found.notice == f"5 people of {path} are not in the genotypes: g x0, g x1, g x2 and others"
    assert find_people(PEOPLE, write("a\nz\n")).notice.endswith(
        "1 person of " + str(path) + " is not in the genotypes: z"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty: it should list the people, one per line"),
        (" \n\t\n", "is empty"),
        ("FID IID\n", "lists nobody below its header"),
        ("a\nf1 b\n", "line 2: 2 columns, but the first line has 1"),
        ("f1 a\nb\n", "line 2: 1 column, but the first line has 2"),
        (b"\xff\xfe\x00a", "is no UTF-8 text"),
        ("a f1\nb f1\n", "FID and IID seem to be swapped"),
        ("A\nB\n", "differ in upper and lower case"),
        ("x y\n", "Nobody in .* is in the genotypes"),
    ],
)
def test_people_mistakes(write, text, words):
    with pytest.raises(DataError, match=words):
        find_people(PEOPLE, write(text))


def test_no_such_file(tmp_path):
    (tmp_path / "people.txt").write_text("a\n")
    with pytest.raises(DataError, match=r"There is no file .*peple.txt; did you mean .*people.txt\?"):
        read_people_list(tmp_path / "peple.txt")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_variant_list(tmp_path)


def test_variants_by_name(write):
    path = write("rs3\nrs9\nrs1\nrs1\n")
    found = find_variants(variants(), path)
    assert found.positions.tolist() == [0, 2]
    assert found.notice == f"1 variant of {path} is not in the genotypes: rs9"
    repeated = variants(("rs1", "rs1", "rs2", "rs1"))
    assert find_variants(repeated, write("rs1")).positions.tolist() == [0, 1, 3]


@pytest.mark.parametrize("header", ["", "chr start end\n", "#chrom\tstart\tend\tname\n"])
def test_stretches_include_both_ends(write, header):
    found = find_variants(variants(), write(f"{header}chr1 20 30 gene\n23 1 5 other\n"))
    assert found.positions.tolist() == [1, 3]
    assert find_variants(variants(), write(f"{header}1 11 19\n2 10 10\n")).positions.tolist() == [2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty: it should list the variants"),
        ("rs1 rs2\n", "line 1: 2 columns, but a list of variants has one identifier per line"),
        ("1 10 20\nrs1\n", "line 2: 1 column"),
        ("1 ten 20\n", "line 1: 3 columns"),
        ("1 -5 20\n", "line 1"),
        ("1 1 99999999999999999999\n", "line 1"),
        ("chr start end\n", "no stretches below its header"),
        ("1 20 10\n", "line 1: the stretch from 20 to 10 ends before it begins"),
        ("7 1 100\n", "they are on chromosome 7, the genotypes on 1, 2, X"),
        ("1 100 200\n", "No variant lies in .*; check that both have positions of the same build"),
        ("rs8\nrs9\n", "such as rs8 there and rs1 here.*as rs numbers or as positions"),
        ("rs1,rs2\n", "it has commas"),
        ("RS1\n", "upper and lower case"),
        ("chrrs1\n", "'chr' at the beginning"),
    ],
)
def test_variant_mistakes(write, text, words):
    with pytest.raises(DataError, match=words):
        find_variants(variants(), write(text))


def test_variants_without_names(write):
    with pytest.raises(DataError, match="the variants have no names; list stretches instead"):
        find_variants(variants((".",) * 4), write("rs1\n"))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("12X"), st.integers(0, 30)), min_size=1, max_size=20),
    st.lists(st.tuples(st.sampled_from("123X"), st.integers(0, 30), st.integers(0, 12)), max_size=8),
)
def test_within_is_a_loop_over_stretches(sites, stretches):
    chromosome, position = zip(*sites, strict=True)
    ours = variants([f"v{k}" for k in range(len(sites))], chromosome, position)
    names = np.array([name for name, _, _ in stretches], dtype=np.str_)
    first = np.array([start for _, start, _ in stretches], dtype=np.int64)
    last = first + np.array([size for _, _, size in stretches], dtype=np.int64)
    expected = [
        any(c == name and start <= p <= start + size for name, start, size in stretches) for c, p in sites
    ]
    assert within(ours, Ranges(names, first, last)).tolist() == expected


LINES = st.lists(
    st.sampled_from(
        ["f1 a", "a", "rs1", "1 1 9", "FID IID", "chr start end", "", "\t", "x y z w", "\x00", "é", "-9"]
    )
    | st.text(max_size=12),
    max_size=6,
).map("\n".join)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.one_of(LINES.map(lambda text: text.encode("utf-8", "replace")), st.binary(max_size=40)))
def test_any_file_is_read_or_refused_in_one_sentence(write, content):
    path = write(content)
    for find, given_to in ((find_people, PEOPLE), (find_variants, variants())):
        found, refused = None, ""
        try:
            found = find(given_to, path)
        except DataError as problem:
            refused = str(problem)
        if found is None:
            assert "list.txt" in refused
        else:
            size = given_to.n if given_to is PEOPLE else given_to.m
            assert 0 < found.positions.size <= size
            assert (np.diff(found.positions) > 0).all()


def test_people_of_other_families_are_told(write):
    """FIDs that fit nobody are left aside, as in tables of phenotypes, and that is said."""
    found = find_people(PEOPLE, write("".join(f"else {iid}\n" for iid in PEOPLE.iid[:2])))
    assert found.positions.tolist() == [0, 1]
    assert "fits with its IID, so that people were matched by IID alone" in found.notice
