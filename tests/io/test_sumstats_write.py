"""Summary statistics in other programs' columns, and back."""

from __future__ import annotations

import gzip
import logging

import numpy as np
import pandas as pd
import pytest

from gwas_reference import GWAS, needs_gwas_reference
from henderson.errors import DataError
from henderson.io.sumstats import read_sumstats
from henderson.io.sumstats_write import write_sumstats

FORMATS = ["plink2", "regenie", "bolt", "cojo"]
#: The first line of files that these programs wrote themselves (GCTA's: of its manual).
HEADERS = {
    "plink2": "#CHROM\tPOS\tID\tREF\tALT\tA1\tA1_FREQ\tTEST\tOBS_CT\tBETA\tSE\tT_STAT\tP\tERRCODE",
    "regenie": "CHROM GENPOS ID ALLELE0 ALLELE1 A1FREQ N TEST BETA SE CHISQ LOG10P EXTRA",
    "bolt": "SNP\tCHR\tBP\tGENPOS\tALLELE1\tALLELE0\tA1FREQ\tF_MISS\tBETA\tSE\tP_BOLT_LMM_INF",
    "cojo": "SNP A1 A2 freq b se p N",
}
ROWS = {
    "plink2": "1\t10\trs1\tG\tA\tA\t0.1\tADD\t100\t0.1\t0.05\t2\t0.04\t.",
    "regenie": f"1 10 rs1 G A 0.1 100 ADD 0.1 0.05 4 {-np.log10(0.04)} NA",
    "bolt": "rs1\t1\t10\t0\tA\tG\t0.1\t0\t0.1\t0.05\t0.04",
    "cojo": "rs1 A G 0.1 0.1 0.05 0.04 100",
}


def table():
    return pd.DataFrame(
        {
            "chromosome": ["1", "1", "X", "MT"],
            "base_pair_location": [10, 20, 30, 40],
            "effect_allele": ["A", "C", "AT", "G"],
            "other_allele": ["G", "T", "A", "C"],
            "beta": [0.1, np.nan, -1 / 3, 7.0],
            "standard_error": [0.05, np.nan, 0.1, 0.01],
            "effect_allele_frequency": [0.1, 0.0, 2 / 3, 0.5],
            "p_value": [0.04, np.nan, 1e-12, 0.0],
            "neg_log_10_p_value": [-np.log10(0.04), np.nan, 12.0, 1234.5],
            "rsid": ["rs1", "rs2", "rs3", "rs4"],
            "n": [100, 90, 80, 100],
            "status": ["ok", "monomorphic", "at its bound", "ok"],
        }
    )


def random_table(m, seed):
    rng = np.random.default_rng(seed)
    logs = rng.exponential(1.0, m) ** 3
    return pd.DataFrame(
        {
            "chromosome": rng.integers(1, 23, m).astype(str),
            "base_pair_location": rng.integers(1, 10**9, m),
            "effect_allele": rng.choice(list("ACGT"), m),
            "other_allele": rng.choice(["AT", "G", "<DEL>"], m),
            "beta": rng.normal(size=m) * 10.0 ** rng.integers(-8, 5, m),
            "standard_error": rng.exponential(size=m),
            "effect_allele_frequency": rng.random(m),
            "p_value": 10.0**-logs,
            "neg_log_10_p_value": logs,
            "rsid": [f"rs{i}" for i in range(m)],
            "n": rng.integers(10, 10**6, m),
        }
    )


@pytest.mark.parametrize("format", FORMATS)
def test_columns_of_each_program(tmp_path, format, caplog):
    path = tmp_path / "file.txt"
    with caplog.at_level(logging.WARNING, "henderson"):
        assert write_sumstats(table(), path, format=format) == 1
    lines = path.read_text().splitlines()
    assert lines[0] == HEADERS[format]
    assert lines[1] == ROWS[format]
    assert len(lines) == 4
    assert "1 of 4 variants are left out" in caplog.text
    assert ("3.16227766017e-1235" in lines[3]) == (format != "regenie")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("ending", ["txt", "txt.gz"])
def test_back_again(tmp_path, format, ending):
    path = tmp_path / f"file.{ending}"
    expected = random_table(3000, seed=1)
    assert write_sumstats(expected, path, format=format) == 0
    found = read_sumstats(path)
    lacking = {"cojo": ["chromosome", "base_pair_location"], "bolt": ["n"]}.get(format, [])
    assert found[lacking].isna().to_numpy().all()
    for name in set(expected) - set(lacking) - {"p_value", "neg_log_10_p_value"}:
        assert found[name].tolist() == expected[name].tolist(), name
    assert np.allclose(found["neg_log_10_p_value"], expected["neg_log_10_p_value"], rtol=1e-11, atol=1e-15)
    assert np.allclose(found["p_value"], expected["p_value"], rtol=1e-9)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == ending.endswith("gz")


def test_the_same_rows_give_the_same_bytes(tmp_path, monkeypatch):
    import henderson.io.sumstats_write as writing

    for name, rows in (("a.gz", 1 << 17), ("b.gz", 100)):
        monkeypatch.setattr(writing, "_ROWS", rows)
        write_sumstats(random_table(1000, seed=2), tmp_path / name, format="plink2")
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == gzip.decompress(
        (tmp_path / "b.gz").read_bytes()
    )
    write_sumstats(random_table(1000, seed=2), tmp_path / "c.gz", format="plink2")
    assert (tmp_path / "c.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_gwas_ssf_says_what_was_not_tested(tmp_path):
    assert write_sumstats(table(), tmp_path / "file.tsv", format="gwas-ssf") == 0
    found = read_sumstats(tmp_path / "file.tsv")
    assert found["status"].tolist() == table()["status"].tolist()
    assert found["neg_log_10_p_value"].tolist()[2:] == [12.0, 1234.5]


def test_information_of_imputation(tmp_path):
    known = table().assign(info=[0.9, 0.8, np.nan, 1.0])
    for format in ("regenie", "bolt"):
        write_sumstats(known, tmp_path / "file.txt", format=format)
        header = (tmp_path / "file.txt").read_text().split("\n")[0]
        assert "INFO" in header
        assert "F_MISS" not in header
        found = read_sumstats(tmp_path / "file.txt")["info"]
        assert found.tolist()[::2] == [0.9, 1.0]
        assert np.isnan(found[1])


def test_missing_calls_count_from_the_largest_n(tmp_path):
    write_sumstats(table(), tmp_path / "file.txt", format="bolt")
    found = pd.read_csv(tmp_path / "file.txt", sep="\t")
    assert np.allclose(found["F_MISS"], [0, 0.2, 0])


def test_a_table_without_logarithms_or_p(tmp_path):
    write_sumstats(table().drop(columns="p_value"), tmp_path / "a.txt", format="cojo")
    write_sumstats(table().iloc[:3].drop(columns="neg_log_10_p_value"), tmp_path / "b.txt", format="cojo")
    first, second = (read_sumstats(tmp_path / name) for name in ("a.txt", "b.txt"))
    assert np.allclose(first["neg_log_10_p_value"], [-np.log10(0.04), 12, 1234.5])
    assert np.allclose(second["neg_log_10_p_value"], [-np.log10(0.04), 12])


@pytest.mark.parametrize(
    ("change", "format", "said"),
    [
        ({"n": np.nan}, "cojo", "A cojo file needs n of each variant"),
        ({"rsid": None}, "plink2", "A plink2 file needs rsid of each variant"),
        ({"rsid": "two words"}, "regenie", "cannot say 'two words' in the column rsid"),
        ({"effect_allele": ""}, "regenie", "cannot say '' in the column effect_allele"),
        ({}, "vcf", "format='vcf' is not one of plink2, regenie, bolt, cojo, gwas-ssf"),
    ],
)
def test_what_cannot_be_written(tmp_path, change, format, said):
    with pytest.raises(DataError, match=said):
        write_sumstats(table().assign(**change), tmp_path / "file.txt", format=format)
    assert not list(tmp_path.iterdir())


def test_n_that_is_not_known(tmp_path):
    write_sumstats(table().drop(columns=["n", "effect_allele_frequency"]), tmp_path / "a", format="regenie")
    assert (tmp_path / "a").read_text().splitlines()[1].split()[5:7] == ["NA", "NA"]
    write_sumstats(table().drop(columns="n"), tmp_path / "b", format="bolt")
    assert (tmp_path / "b").read_text().splitlines()[1].split()[7] == "NA"


def test_nothing_is_left_of_a_file_that_failed(tmp_path, monkeypatch):
    import henderson.io.sumstats_write as writing

    (tmp_path / "file.txt").write_text("older")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "_lines", full)
    with pytest.raises(DataError, match=r"file.txt cannot be written \(No space left on device\)"):
        write_sumstats(table(), tmp_path / "file.txt", format="plink2")
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]
    assert (tmp_path / "file.txt").read_text() == "older"


@needs_gwas_reference
@pytest.mark.parametrize("format", FORMATS)
def test_a_peers_file_in_each_format(tmp_path, format):
    expected = read_sumstats(GWAS / "expected/hapmap3/plink2/glm.q1.glm.linear.gz")
    assert write_sumstats(expected, tmp_path / "file", format=format) == 0
    found = read_sumstats(tmp_path / "file")
    for name in ("effect_allele", "other_allele", "beta", "standard_error", "rsid"):
        assert (found[name] == expected[name]).all()
    assert np.allclose(found["neg_log_10_p_value"], expected["neg_log_10_p_value"], rtol=1e-14)
