"""Sexes from a file of their own."""

import numpy as np
import pytest

import henderson as hd
from henderson.genotype.source import Samples
from henderson.io.sexes import with_sexes
from plink_files import write_plink

PEOPLE = Samples(np.array(["f"] * 4), np.array(["a", "b", "c", "d"]), np.array([0, 0, 2, 1], dtype=np.int8))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FID IID SEX\nf b 2\nf a 1\nf c 0\n", [1, 2, 0, 1]),
        ("IID age sex\nb 30 F\na 20 m\n", [1, 2, 2, 1]),
        ("f a 1\nf b 2\n", [1, 2, 2, 1]),
        ("#FID IID SEX\nf a NA\nf d 2\n", [0, 0, 2, 2]),
    ],
)
def test_sexes(tmp_path, text, expected):
    path = tmp_path / "sexes.txt"
    path.write_text(text)
    found, notice = with_sexes(PEOPLE, path)
    assert found.sex.tolist() == expected
    assert found.iid is PEOPLE.iid
    assert f"{expected.count(1)} men, {expected.count(2)} women" in notice


def test_of_a_fam_file_the_sexes_and_not_the_phenotypes_count(tmp_path):
    path = tmp_path / "cohort.fam"
    path.write_text("f a 0 0 1 -9\nf b 0 0 2 1\nf c 0 0 0 2\n")
    found, notice = with_sexes(PEOPLE, path)
    assert found.sex.tolist() == [1, 2, 0, 1]
    assert notice == "2 men, 1 women, 1 not known"


def test_other_families_are_told(tmp_path):
    (tmp_path / "sexes.txt").write_text("FID IID SEX\nelse a 1\nelse b 2\n")
    found, notice = with_sexes(PEOPLE, tmp_path / "sexes.txt")
    assert found.sex[:2].tolist() == [1, 2]
    assert notice.endswith("people were matched by IID alone. 2 men, 2 women, 0 not known")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FID IID SEX\nf a 3\n", "the sex of f a is '3'"),
        ("FID IID age height\nf a 1 2\n", "age, height; call the one with the sexes SEX"),
        ("FID IID SEX\nx y 1\n", "Nobody"),
    ],
)
def test_mistakes(tmp_path, text, message):
    path = tmp_path / "sexes.txt"
    path.write_text(text)
    with pytest.raises(hd.DataError, match=message):
        with_sexes(PEOPLE, path)


def test_opened_with_sexes(tmp_path):
    """On X a man is 0 or 2: his heterozygous call goes once it is known that he is a man."""
    write_plink(
        tmp_path / "x", [[1, 1, 2, 0]], samples=[("f", i) for i in "abcd"], variants=[("X", "v", 5, "A", "G")]
    )
    (tmp_path / "sexes.txt").write_text("FID IID SEX\nf a 1\nf b 2\nf c 1\nf d 1\n")
    without, known = (hd.open_genotypes(tmp_path / "x", sexes=s) for s in (None, tmp_path / "sexes.txt"))
    assert without.read(slice(0, 1)).tolist() == [[1, 1, 2, 0]]
    assert known.read(slice(0, 1)).tolist() == [[-1, 1, 2, 0]]
