import gzip

import numpy as np
import pandas as pd
import pytest

from henderson.errors import DataError
from henderson.io.tables import read_table

PEOPLE = "name,height,variant\nAda,180,CC\nBo,NA,NA\nCy,158.5,\n"


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("people.csv", PEOPLE),
        ("people.CSV", PEOPLE),
        ("people.tsv", PEOPLE.replace(",", "\t")),
        ("people.csv.gz", gzip.compress(PEOPLE.encode())),
        ("people.tsv.gz", gzip.compress(PEOPLE.replace(",", "\t").encode())),
        ("windows.csv", b"\xef\xbb\xbf" + PEOPLE.replace("\n", "\r\n").encode()),
        ("unended.csv", PEOPLE.rstrip("\n")),
    ],
)
def test_reads_text(tmp_path, name, content):
    table = read_table(written(tmp_path, name, content))

    assert list(table.columns) == ["name", "height", "variant"]
    np.testing.assert_array_equal(table["height"], [180.0, np.nan, 158.5])
    assert table["variant"].isna().tolist() == [False, True, True]
    assert table["name"].tolist() == ["Ada", "Bo", "Cy"]


def test_reads_parquet(tmp_path):
    path = tmp_path / "people.parquet"
    people = pd.DataFrame({"name": ["Ada", "Bo"], "height": [180.0, np.nan]})
    people.to_parquet(path)

    pd.testing.assert_frame_equal(read_table(path), people)


def test_text_stays_text(tmp_path):
    table = read_table(written(tmp_path, "t.csv", "a,b,c\nnull,None,n/a\nnan,#N/A,-\n"))

    assert table.to_numpy().tolist() == [["null", "None", "n/a"], ["nan", "#N/A", "-"]]


def test_only_missing_spellings_make_a_number_column_text(tmp_path):
    table = read_table(written(tmp_path, "t.csv", "a,b\n1,2\nNaN,x\n,3\nNA,4\n"))

    assert table["a"].dtype == np.float64
    assert table["b"].tolist() == ["2", "x", "3", "4"]


def test_numbers_keep_their_digits(tmp_path):
    numbers = np.random.default_rng(5).normal(size=500) * 10.0 ** np.arange(-250, 250)
    table = read_table(written(tmp_path, "t.csv", "x\n" + "\n".join(map(repr, numbers.tolist()))))

    np.testing.assert_allclose(table["x"], numbers, rtol=1e-15)


def test_quoted_fields_may_hold_separators_and_line_ends(tmp_path):
    table = read_table(written(tmp_path, "t.csv", 'name,x\n"Lovelace, Ada",1\n"two\nlines",\n'))

    assert table["name"].tolist() == ["Lovelace, Ada", "two\nlines"]


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ('"","x","g"\n"1",2.5,"a"\n"2",3.5,"b"\n', ["row", "x", "g"]),  # R: write.csv(d)
        (",x,row\n0,2.5,a\n1,3.5,b\n", ["row_", "x", "row"]),  # pandas: d.to_csv()
        ('"x","g"\n"1",2.5,"a"\n"3",3.5,"b"\n', ["row", "x", "g"]),  # R: write.table(d, sep = ",")
        ("x,g\nMazda RX4,2.5,a\n\nDatsun 710,3.5,NA\n", ["row", "x", "g"]),
        ('"";"x";"g"\n"1";2.5;"a"\n"2";3.5;"b"\n', ["row", "x", "g"]),
    ],
)
def test_row_names_become_a_column(tmp_path, content, columns):
    table = read_table(written(tmp_path, "t.csv", content))

    assert list(table.columns) == columns
    assert table["x"].tolist() == [2.5, 3.5]
    assert table.iloc[0, 2] == "a"
    assert table.iloc[:, 0].is_unique


def test_reads_semicolons(tmp_path):
    table = read_table(written(tmp_path, "t.csv", 'name;x\n"Lovelace; Ada";1.5\nBo, Jr;NA\n'))

    assert table["name"].tolist() == ["Lovelace; Ada", "Bo, Jr"]
    np.testing.assert_array_equal(table["x"], [1.5, np.nan])


TEN = "".join(f'"a\nb",{i}\n' for i in range(5)) + "".join(f"c,{i}\n" for i in range(4))


@pytest.mark.parametrize("slip", ["n/a", ".", "nan", "null", "12.5x", "#N/A"])
def test_a_slip_among_numbers_is_named(tmp_path, slip):
    path = written(tmp_path, "t.csv", f"g,x\n{TEN}\nd,{slip}\n")

    with pytest.raises(DataError) as refused:
        read_table(path)
    start = f"{path}, line 17, column x: {slip!r} is no number, and almost all others are; write NA"
    assert str(refused.value).startswith(start)
    assert read_table(path, numbers={"g"})["x"].iloc[-1] == slip


def test_some_text_among_numbers_is_text(tmp_path):
    chromosomes = read_table(written(tmp_path, "t.csv", f"g,x\n{TEN}d,X\nd,Y\n"))["x"]

    assert chromosomes.tolist() == ["0", "1", "2", "3", "4", "0", "1", "2", "3", "X", "Y"]


def test_a_logical_column_may_have_gaps(tmp_path):
    assert read_table(written(tmp_path, "t.csv", "g,x\na,TRUE\nb,NA\nc,FALSE\n"))["x"].isna().sum() == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "", "t.csv is empty"),
        ("t.csv", "\n \n", "t.csv is empty"),
        ("t.csv", "a,b\n", "t.csv has column names but no rows"),
        ("t.csv", "a,b,a\n1,2,3\n", "more than one column is called 'a'"),
        ("t.csv", "a,,c\n1,2,3\n", "column 2 has no name"),
        ("t.csv", "a,b\n1,2\n1,2,3\n", "t.csv, line 3: 3 fields, but there are 2 columns"),
        ("t.csv", "a,b\n1,2,3\n1,2,3\n", "t.csv, line 2: 3 fields, but there are 2 columns"),
        ("t.csv", "a,b\n1,2\n\n1\n", "t.csv, line 4: 1 field, but there are 2 columns"),
        ("t.csv", "a,b\r\n1,2\r\n\r\n1\r\n", "t.csv, line 4: 1 field, but there are 2 columns"),
        ("t.csv", "a,b\n\u00e9,2\n1", "t.csv, line 3: 1 field, but there are 2 columns"),
        ("t.csv", 'a,b\n"x\ny",2\n1\n', "t.csv, line 4: 1 field, but there are 2 columns"),
        ("t.csv", "a\tb\n1\t2\n", "separated by tabs (.tsv), but its ending says commas (.csv)"),
        ("t.tsv", "a,b\n1,2\n", "separated by commas (.csv), but its ending says tabs (.tsv)"),
        ("t.tsv", "a;b\n1;2\n", "separated by semicolons (.csv), but its ending says tabs (.tsv)"),
        ("t.tsv", '"a" "b"\n"1" 1 2\n', "separated by spaces, but its ending says tabs (.tsv)"),
        ("t.csv", "g;x\na;1\nb;2,5\n", "t.csv, line 3, column x: '2,5' has a comma; write numbers with"),
        ("t.tsv", "g\tx\na\t1,5\nb\t2,5\n", "t.tsv, line 2, column x: '1,5' has a comma"),
        ("t.csv", "x,g\n1.5,2,3\n2.5,2,3\n", "t.csv, line 2: 3 fields, but there are 2 columns"),
        ("t.csv", "x,g\n1,a,\n2,b,\n", "t.csv, line 2: 3 fields, but there are 2 columns"),
        ("t.csv", "x,g\na,1,2\nb,2\n", "t.csv, line 3: 2 fields, but there are 3 columns"),
        ("t.csv", '"x","g"\n"a",1,2\n"b",2\n', "t.csv, line 3: 2 fields, but there are 3 columns"),
        ("t.csv", b"a,b\n1,2\nx\x00y,2\n", "line 3 holds binary data"),
        ("t.csv", b"a,b\n1,2\nJos\xe9,2\n", "t.csv, line 3: the byte 0xe9 is not UTF-8"),
        ("t.csv", "a,b\n1,2\n".encode("utf-16"), "encoded as UTF-16"),
        ("t.csv", gzip.compress(b"a,b\n1,2\n"), "t.csv is a gzip file; add .gz"),
        ("t.csv.gz", b"a,b\n1,2\n", "ends in .gz but is not a gzip file"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99)[:-12], "damaged or incomplete gzip file"),
        ("t.xlsx", b"PK", "t.xlsx: the ending does not say how to read it"),
        ("t", "a,b\n1,2\n", "the ending does not say how to read it"),
        ("t.parquet", b"a,b\n1,2\n", "t.parquet is not a readable Parquet file"),
        ("t.csv", 'a,b\n"1,2\n', "t.csv"),
    ],
)
def test_refuses_in_one_sentence(tmp_path, name, content, message):
    with pytest.raises(DataError) as refused:
        read_table(written(tmp_path, name, content))

    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_suggests_its_neighbour(tmp_path):
    written(tmp_path, "people.csv", PEOPLE)

    with pytest.raises(DataError, match=r"There is no file .*poeple\.csv; did you mean .*people\.csv\?"):
        read_table(tmp_path / "poeple.csv")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"there is no folder .*nowhere either"):
        read_table(tmp_path / "nowhere" / "people.csv")


def test_a_folder_is_not_a_table(tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path)
