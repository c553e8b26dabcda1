"""Pedigrees from files and tables, and those of the reference data."""

import gzip
import json
import logging

import numpy as np
import pandas as pd
import polars as pl
import pytest

from gwas_reference import GWAS, needs_gwas_reference
from henderson.errors import DataError
from henderson.io.pedigree_files import read_pedigree

ROWS = {
    "id": ["calf", "007", "cow"],
    "sire": ["007", "0", "007"],
    "dam": ["cow", "0", "0"],
    "sex": ["0", "1", "2"],
    "born": ["2004", "2000", "2002"],
}
EXPECTED = {"007": ("", "", 0.0), "cow": ("007", "", 0.0), "calf": ("007", "cow", 0.25)}


def relatives(pedigree):
    names = [*pedigree.ids.tolist(), ""]
    return {
        name: (names[s], names[d], F)
        for name, s, d, F in zip(names, pedigree.sire, pedigree.dam, pedigree.inbreeding, strict=False)
    }


def lines(separator, header=True, prefix=""):
    rows = [prefix + separator.join(ROWS), *map(separator.join, zip(*ROWS.values(), strict=True))]
    return "\n".join(rows if header else rows[1:]) + "\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.csv", lines(",")),
        ("p.tsv", lines("\t")),
        ("p.txt", lines(" ")),
        ("p.txt", lines("\t").replace("\n", "\r\n")),
        ("p.tsv", lines("\t").replace("\t0\t", "\t\t", 1)),
        ("p.txt", "\n" + lines("   ", prefix="#")),
        ("p.ped.txt", lines(" ").replace("id sire dam", "IID Father_ID Mother.ID")),
        ("p.psam", "##source=x\n#FID IID PAT MAT SEX\n1 calf 007 cow 0\n1 007 0 0 1\n2 cow 007 0 2\n"),
        ("p.psam", "1 calf 007 cow 0\n1 007 0 0 1\n2 cow 007 0 2\n"),
        ("p.fam", "1 calf 007 cow 0 -9\n1 007 0 0 1 -9\n2 cow 007 0 2 -9\n"),
    ],
)
def test_files(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, newline="")
    assert relatives(read_pedigree(path)) == EXPECTED
    zipped = tmp_path / f"{name}.gz"
    zipped.write_bytes(gzip.compress(text.encode()))
    assert relatives(read_pedigree(str(zipped))) == EXPECTED


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame(ROWS),
        pd.DataFrame(ROWS).astype("category"),
        pd.DataFrame(ROWS).assign(born=pd.to_datetime(["2004-01-01", None, "2002-03-04"])),
        pl.DataFrame(ROWS),
        pl.DataFrame(ROWS).with_columns(pl.col("born").str.to_date("%Y")),
        pl.DataFrame(ROWS).to_arrow(),
        ROWS,
        {**ROWS, "sex": ["NA", "Male", "f"], "dam": ["cow", None, np.nan]},
    ],
)
def test_tables(table):
    assert relatives(read_pedigree(table)) == EXPECTED


def test_parquet(tmp_path):
    pd.DataFrame(ROWS).to_parquet(tmp_path / "p.parquet")
    assert relatives(read_pedigree(tmp_path / "p.parquet")) == EXPECTED


@pytest.mark.parametrize("kind", [int, float, "Int64"])
def test_identifiers_that_are_numbers(kind):
    numbers = pd.DataFrame({"calf": [3, 4], "sire": [1, 3], "dam": [2, 0]}).astype(kind)
    assert set(read_pedigree(numbers).ids.tolist()) == set("1234")
    missing = numbers.astype("Float64").mask(numbers == 0)
    assert set(read_pedigree(missing).ids.tolist()) == set("1234")


def test_columns_and_codes_can_be_said():
    table = pd.DataFrame({"x": ["a", "b"], "id": ["?", "?"], "y": ["c", "-"], "z": ["-", "a"]})
    pedigree = read_pedigree(table, id="x", sire="y", dam="z", missing=["-"])
    assert relatives(pedigree) == {"c": ("", "", 0), "a": ("c", "", 0), "b": ("", "a", 0)}
    grouped = read_pedigree({"id": ["a"], "sire": ["G1"], "dam": ["b"]}, genetic_groups=["G1"])
    np.testing.assert_array_equal(grouped.group_contributions(), [[0.0], [0.5]])
    assert read_pedigree({"id": ["a"], "sire": ["b"], "dam": ["b"]}, hermaphrodite=True).n == 2
    assert read_pedigree({"ind": ["a"], "fid": ["b"], "mid": ["c"]}).n == 3


def test_one_way_to_write_unknown_parents():
    rows = {"id": ["N", "A", "c"], "sire": ["NA", "NA", "N"], "dam": ["NA", "NA", "A"]}
    assert relatives(read_pedigree(rows, missing="NA")) == {
        "N": ("", "", 0.0),
        "A": ("", "", 0.0),
        "c": ("N", "A", 0.0),
    }


def test_what_was_done_is_told(caplog):
    with caplog.at_level(logging.WARNING, "henderson"):
        read_pedigree({"id": ["a"], "sire": ["b"], "dam": ["0"]})
    assert caplog.messages == ["pedigree: 1 founder added for parents without a row: 'b'"]


BAD = [
    ({"id": ["a"], "sire": ["b"]}, "no column with a usual name of the dam, such as dam, damid, mother"),
    (
        {"id": ["a"], "animal": ["a"], "sire": ["b"], "dam": ["c"]},
        "'id' and 'animal', each of which could be",
    ),
    ({**ROWS, "sex": ["0", "1", "cow"]}, "column 'sex' of the pedigree has the sex 'cow'"),
    ({**ROWS, "born": ["2004", "2000", "spring"]}, "column 'born' of the pedigree has the birth 'spring'"),
    ({**ROWS, "born": ["2004", "2000", "2005"]}, "'calf' is older than its dam 'cow'"),
    ({**ROWS, "born": ["2004-02-01", "", "2004-02-02"]}, "'calf' is older than its dam 'cow'"),
    ({**ROWS, "sex": ["0", "2", "2"]}, "'007' is the sire of 'calf', but its sex is female"),
    ({**ROWS, "id": ["calf", "0", "cow"]}, "row 2 of the pedigree"),
]


@pytest.mark.parametrize(("table", "said"), BAD, ids=range(len(BAD)))
def test_what_cannot_be_read_is_refused(table, said):
    with pytest.raises(DataError) as refused:
        read_pedigree(table)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.txt", "a b c\nd e f\n", "a file needs column names in its first line"),
        ("p.txt", "id sire dam\n", "column names but no rows"),
        ("p.txt", "id sire dam\na b c\nd e\n", "line 3: 2 fields"),
        ("p.fam", "a b c\n", "3 columns, but a .fam file has six"),
    ],
)
def test_bad_files(tmp_path, name, text, said):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError) as refused:
        read_pedigree(path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)


def test_no_file(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        read_pedigree(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_pedigree(tmp_path)
    with pytest.raises(DataError, match="has no column 'bull'; did you mean"):
        read_pedigree({"id": ["a"], "bulls": ["b"], "dam": ["c"]}, sire="bull")


@needs_gwas_reference
def test_pedigree_of_milk():
    pedigree = read_pedigree(GWAS / "data" / "pedigree" / "milk.pedigree.txt")
    with gzip.open(GWAS / "expected" / "pedigree" / "hand" / "milk.inbreeding.gz", "rt") as file:
        stored = pd.read_csv(file, sep=r"\s+", dtype={"id": str})
    place = pedigree.positions(stored["id"])
    np.testing.assert_allclose(pedigree.inbreeding[place], stored["F"], atol=1e-12)
    about = json.loads((GWAS / "expected" / "pedigree" / "hand" / "milk.json").read_text())
    assert pedigree.n == about["n_pedigree"]
    assert pedigree.inbreeding.mean() == pytest.approx(about["mean_F"], rel=1e-12)
    assert int((pedigree.inbreeding > 0).sum()) == about["inbred"]
    one = np.ones(pedigree.n)
    assert one @ pedigree.relationship().times(one) == pytest.approx(about["sum_A"], rel=1e-11)


@needs_gwas_reference
def test_mrode_with_groups():
    table = pd.read_csv(GWAS / "data" / "pedigree" / "mrode3.txt", sep="\t", dtype=str)
    animals = table.iloc[2:]
    pedigree = read_pedigree(animals, sire="sireGG", dam="damGG", genetic_groups=["g1", "g2"])
    rows = pedigree.positions(["3", "4", "7", "8"])
    expected = [[0.5, 0.5], [0.25, 0.75], [0.375, 0.625], [0.5, 0.5]]
    np.testing.assert_allclose(pedigree.group_contributions()[rows], expected, atol=1e-15)
    assert read_pedigree(animals).groups is None


@needs_gwas_reference
def test_pedigree_of_salmon():
    pedigree = read_pedigree(GWAS / "data" / "salmon" / "salmon.pedigree.txt")
    assert pedigree.n == 1561
    assert not pedigree.inbreeding.any()
    assert pedigree.notices == ()
