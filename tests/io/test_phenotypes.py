import gzip

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from gwas_reference import GWAS, needs_gwas_reference
from henderson.errors import DataError
from henderson.io.phenotypes import phenotypes_of, read_phenotypes

HEADER = "FID IID bmi height\n1 007 22.5 180\n1 nan8 NA 171.5\n2 -919 -9 .\n"


def written(tmp_path, content, name="pheno.txt"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("spaces.txt", HEADER),
        ("tabs.pheno", HEADER.replace(" ", "\t")),
        ("commas.csv", HEADER.replace(" ", ",")),
        ("quoted.csv", HEADER.replace(" ", ",").replace("007", '"007"')),
        ("both.txt", HEADER.replace(" ", "\t", 3)),
        ("aligned.txt", HEADER.replace(" ", "   ").replace("\n", "  \n")),
        ("zipped.txt.gz", gzip.compress(HEADER.encode())),
        ("hash.txt", "#" + HEADER),
        ("lower.txt", HEADER.replace("FID IID", "fid iid")),
        ("windows.txt", b"\xef\xbb\xbf" + HEADER.replace("\n", "\r\n").encode()),
        ("blank_lines.txt", HEADER.replace("\n", "\n\n")),
        ("empty.tsv", HEADER.replace(" ", "\t").replace("NA", "").replace("\t.\n", "\t\n")),
        ("empty.csv", HEADER.replace(" ", ",").replace("NA", "").replace(",.\n", ",\n")),
        ("nan.txt", HEADER.replace("NA", "nan")),
    ],
)
def test_dialects(tmp_path, name, content):
    table = read_phenotypes(written(tmp_path, content, name))

    assert table.samples.fid.tolist() == ["1", "1", "2"]
    assert table.samples.iid.tolist() == ["007", "nan8", "-919"]
    assert list(table.columns) == ["bmi", "height"]
    np.testing.assert_array_equal(table.columns["bmi"], [22.5, np.nan, np.nan])
    np.testing.assert_array_equal(table.columns["height"], [180, 171.5, np.nan])


@pytest.mark.parametrize("first", ["#IID", "IID", "iid"])
def test_without_families(tmp_path, first):
    table = read_phenotypes(written(tmp_path, f"{first}\tbmi\na\t1\nb\t2\n"))

    assert table.samples.fid.tolist() == ["0", "0"]
    assert table.samples.iid.tolist() == ["a", "b"]


def test_without_header(tmp_path):
    path = written(tmp_path, "1 1 2.5 0\n2 2 NA 1\n")

    assert list(read_phenotypes(path).columns) == ["phenotype1", "phenotype2"]
    assert list(read_phenotypes(path, name="covariate").columns) == ["covariate1", "covariate2"]
    one = read_phenotypes(written(tmp_path, "1 1 M\n2 2 F\n"))
    assert one.columns["phenotype"].tolist() == ["M", "F"]


def test_a_name_with_blanks_between_tabs(tmp_path):
    table = read_phenotypes(written(tmp_path, "FID\tIID\tear height (cm)\nf\ta\t1.5\nf\tb\tNA\n"))

    assert list(table.columns) == ["ear height (cm)"]
    assert table.columns["ear height (cm)"].tolist()[0] == 1.5


def test_fam(tmp_path):
    table = read_phenotypes(written(tmp_path, "f a 0 0 1 2.5\nf b 0 0 2 -9\n", "x.fam"))

    np.testing.assert_array_equal(table.columns["phenotype"], [2.5, np.nan])
    with pytest.raises(DataError, match=r"5 columns, but a \.fam file has six"):
        read_phenotypes(written(tmp_path, "f a 0 0 1\n", "y.fam"))


def test_what_was_missing_is_counted(tmp_path):
    content = "IID q1 q2 q3\na -9 NA -9.5\nb -9 . 1\nc 1 -9.0 2\nd 2 3 3\n"
    table = read_phenotypes(written(tmp_path, content))

    found = {(each.column, each.marker): each.count for each in table.missing}
    assert found == {("q1", "-9"): 2, ("q2", "NA"): 1, ("q2", "."): 1, ("q2", "-9.0"): 1}
    assert table.notices == (
        "2 values of 'q1' written -9 were read as missing.",
        "1 value of 'q2' written -9.0 was read as missing.",
    )
    assert np.isnan(table.columns["q2"].tolist()[2])
    assert table.columns["q3"].tolist()[0] == -9.5


def test_minus_nine_is_a_number_in_covariates(tmp_path):
    table = read_phenotypes(written(tmp_path, "IID pc\na -9\nb 1\n"), minus_nine_is_missing=False)

    assert table.columns["pc"].tolist() == [-9.0, 1.0]
    assert table.missing == table.notices == ()


def test_categories_stay_text(tmp_path):
    table = read_phenotypes(written(tmp_path, "IID site\na 1\nb urban\nc NA\nd 2\n"))

    assert table.columns["site"].isna().tolist() == [False, False, True, False]
    assert table.columns["site"].dropna().tolist() == ["1", "urban", "2"]


def test_tabs_keep_blanks_inside(tmp_path):
    table = read_phenotypes(written(tmp_path, "IID\tsite\na\tnear town\nb\tfar\n"))

    assert table.columns["site"].tolist() == ["near town", "far"]


MANY = "".join(f"{k} {k} {k}.5\n" for k in range(20))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("FID IID\n1 1\n", "only identifiers"),
        ("a b\nc d\n", "only identifiers"),
        ("IID\na\n", "only identifiers"),
        ("FID IID y\n", "column names but no rows"),
        ("FID IID y\n1 1 2\n\n2 2\n", r"line 4: 2 fields, but there are 3 in line 1"),
        ("FID\tIID\ty\n1\t1\t2\n2\t2\t3\t4\n", "line 3: 4 fields"),
        ("FID,IID,y\n1,1,2\n2,2\n", "line 3: 2 fields"),
        ("FID IID y\n1 1 2\n2 2 3\n1 1 3\n", "FID 1, IID 1 is in line 2 and again in line 4"),
        ("FID IID y y\n1 1 2 3\n", "more than one column is called 'y'"),
        ("FID y z\n1 2 3\n", "no column IID"),
        ("name y z\na 2 3\n", "first line names columns but none of them is IID"),
        ("FID,IID,y\n1,,2\n", "line 2: the identifier IID is missing"),
        ("11.1 1.5 0\n12.5 0.25 1\n", "values but no identifiers"),
        ("1\n0\nNA\n", "values but no identifiers"),
        ("FID IID y\n" + MANY + "x x 5,1\n", r"line 22, column y: '5,1' is no number"),
        ("FID IID y\n" + MANY + "x x inf\n", r"line 22, column y: 'inf' is no number"),
        (b"FID IID y\n1 1 \0\n", "binary"),
        (b"FID IID y\n1 1 \xff\n", "not UTF-8"),
        (gzip.compress(b"FID IID y\n1 1 2\n"), "add .gz"),
    ],
)
def test_refusals(tmp_path, content, message):
    path = written(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read_phenotypes(path)
    assert str(path) in str(caught.value)
    assert str(caught.value).count("\n") == 0


def test_no_such_file(tmp_path):
    path = written(tmp_path, HEADER, "heights.txt")

    with pytest.raises(DataError, match=r"did you mean .*heights\.txt"):
        read_phenotypes(tmp_path / "height.txt")
    with pytest.raises(DataError, match="is a folder"):
        read_phenotypes(tmp_path)
    path.rename(tmp_path / "heights.gz")
    with pytest.raises(DataError, match="not a gzip file"):
        read_phenotypes(tmp_path / "heights.gz")


@pytest.mark.parametrize("make", [dict, pd.DataFrame, pl.DataFrame, pa.table])
@pytest.mark.parametrize("iid", [[1, 2, 10], [1.0, 2.0, 10.0], ["1", "2", "10"]])
def test_from_frames(make, iid):
    table = phenotypes_of(make({"#IID": iid, "q": [1.5, None, -9.0], "site": ["a", None, "b"]}))

    assert table.samples.iid.tolist() == ["1", "2", "10"]
    np.testing.assert_array_equal(table.columns["q"], [1.5, np.nan, -9.0])  # the caller's own marks count
    assert table.columns["site"].isna().tolist() == [False, True, False]
    assert table.notices == ()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"name": ["a"], "y": [1.0]}, "no column IID"),
        ({"IID": [1.5], "y": [1.0]}, "row 1: the identifier IID is 1.5"),
        ({"IID": ["a", None], "y": [1.0, 2.0]}, "row 2: the identifier IID is missing"),
        ({"IID": ["a", "a"], "y": [1.0, 2.0]}, "is in row 1 and again in row 2"),
        (3, "not a pandas"),
    ],
)
def test_refused_frames(data, message):
    with pytest.raises(DataError, match=message):
        phenotypes_of(data)


def test_a_frame_is_left_as_it_was():
    frame = pd.DataFrame({"IID": ["b", "a"], "y": [-9.0, 1.0]}, index=[5, 3])
    before = frame.copy()
    phenotypes_of(frame)
    pd.testing.assert_frame_equal(frame, before)


@needs_gwas_reference
@pytest.mark.parametrize(
    "name",
    [
        "header_nan",
        "plink1_header_minus9",
        "plink2_hashFID",
        "plink2_hashIID_only",
        "gcta_noheader_NA",
        "spaces_casecontrol12",
    ],
)
def test_reference_dialects_agree(name):
    folder = GWAS / "data" / "formats" / "pheno"
    plain = read_phenotypes(folder / "plink2_regenie_header_NA.txt")
    other = read_phenotypes(folder / f"{name}.txt")

    columns = slice(0, 2) if name.startswith("spaces") else slice(None)
    np.testing.assert_array_equal(
        other.columns.to_numpy()[:, columns], plain.columns.to_numpy()[:, columns], strict=True
    )
    assert np.isnan(plain.columns.to_numpy()).sum(axis=0).tolist() == [29, 85, 19]
    # one of the programs that wrote these replaced NA within identifiers too: they are kept as they are
    marker = {"header_nan": "nan", "plink1_header_minus9": "-9"}.get(name, "NA")
    assert other.samples.iid.tolist() == [iid.replace("NA", marker) for iid in plain.samples.iid.tolist()]


@needs_gwas_reference
def test_reference_values_only_are_refused():
    with pytest.raises(DataError, match="never matches people by position"):
        read_phenotypes(GWAS / "data" / "formats" / "pheno" / "gemma_values_only_NA.txt")
