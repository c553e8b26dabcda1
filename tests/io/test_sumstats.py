"""Summary statistics of every program, from snippets of their files and from the reference files."""

from __future__ import annotations

import gzip
import logging
import math
import random
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gwas_reference import GWAS, needs_gwas_reference
from henderson.association.clump import clump
from henderson.errors import DataError
from henderson.genotype import ArraySource
from henderson.io.scan_files import scan_writer, write_gwas_ssf
from henderson.io.sumstats import read_sumstats
from henderson.io.sumstats_formats import COLUMNS, LAYOUTS, recognised
from henderson.io.sumstats_write import write_sumstats
from henderson.linalg.tails import neg_log10_normal

#: Real lines of the programs' files. What is read of them: chromosome, position, effect allele, other allele,
#: beta, standard error, frequency, p, name, n.
SNIPPETS = {
    "PLINK 2": (
        "#CHROM\tPOS\tID\tREF\tALT\tA1\tA1_FREQ\tTEST\tOBS_CT\tBETA\tSE\tT_STAT\tP\tERRCODE\n"
        "1\t828418\trs4970383\tC\tA\tA\t0.338395\tADD\t922\t-0.164649\t0.0980001\t-1.6801\t0.0932789\t.\n",
        ("1", 828418, "A", "C", -0.164649, 0.0980001, 0.338395, 0.0932789, "rs4970383", 922),
    ),
    "PLINK 2 logistic": (
        "#CHROM\tPOS\tID\tREF\tALT\tA1\tA1_FREQ\tFIRTH?\tTEST\tOBS_CT\tOR\tLOG(OR)_SE\tZ_STAT\tP\tERRCODE\n"
        "1\t828418\trs4970383\tC\tA\tA\t0.3353\tN\tADD\t932\t0.828803\t0.109963\t-1.7076\t0.0877099\t.\n",
        ("1", 828418, "A", "C", math.log(0.828803), 0.109963, 0.3353, 0.0877099, "rs4970383", 932),
    ),
    "REGENIE": (
        "CHROM GENPOS ID ALLELE0 ALLELE1 A1FREQ INFO N TEST BETA SE CHISQ LOG10P EXTRA\n"
        "1 1 v1 2 1 0.214575 1 494 ADD -0.0411992 0.0451007 0.834468 0.442512 NA\n",
        ("1", 1, "1", "2", -0.0411992, 0.0451007, 0.214575, 10**-0.442512, "v1", 494),
    ),
    "BOLT-LMM": (
        "SNP\tCHR\tBP\tGENPOS\tALLELE1\tALLELE0\tA1FREQ\tF_MISS\tBETA\tSE\tP_BOLT_LMM_INF\tP_BOLT_LMM\n"
        "rs1\t1\t75563\t0.075563\tA\tG\t0.972148\t0.00245148\t0.110752\t0.0598755\t6.4E-02\t2.4E-02\n",
        ("1", 75563, "A", "G", 0.110752, 0.0598755, 0.972148, 0.024, "rs1", None),
    ),
    "SAIGE": (
        "CHR\tPOS\tMarkerID\tAllele1\tAllele2\tAC_Allele2\tAF_Allele2\tMissingRate\tBETA\tSE\tTstat\tvar\tp.value"
        "\tp.value.NA\tIs.SPA\tAF_case\tAF_ctrl\tN_case\tN_ctrl\n"
        "1\t4\trs4\tA\tC\t61\t0.0305\t0\t0.57\t0.45\t2.7\t4.7\t0.2\t0.2\tfalse\t0.04\t0.03\t100\t900\n",
        ("1", 4, "C", "A", 0.57, 0.45, 0.0305, 0.2, "rs4", 1000),
    ),
    "GEMMA": (
        "chr\trs\tps\tn_miss\tallele1\tallele0\taf\tbeta\tse\tlogl_H1\tl_remle\tl_mle\tp_wald\tp_lrt\tp_score\n"
        "1\trs3683945\t3197400\t0\tA\tG\t0.443\t-7.882975e-02\t6.186788e-02\t-1.583642e+03\t4.33\t4.32\t"
        "2.028160e-01\t2.025923e-01\t2.032300e-01\n",
        ("1", 3197400, "A", "G", -0.07882975, 0.06186788, 0.443, 0.202816, "rs3683945", None),
    ),
    "GCTA fastGWA": (
        "CHR\tSNP\tPOS\tA1\tA2\tN\tAF1\tBETA\tSE\tP\n"
        "1\trs4970383\t828418\tA\tC\t922\t0.338395\t-0.075374\t0.100523\t0.453366\n",
        ("1", 828418, "A", "C", -0.075374, 0.100523, 0.338395, 0.453366, "rs4970383", 922),
    ),
    "GCTA MLMA": (
        "Chr\tSNP\tbp\tA1\tA2\tFreq\tb\tse\tp\n"
        "1\trs4970383\t828418\tA\tC\t0.335423\t-0.0646645\t0.0989558\t0.513454\n",
        ("1", 828418, "A", "C", -0.0646645, 0.0989558, 0.335423, 0.513454, "rs4970383", None),
    ),
    "GCTA-COJO": (
        "SNP A1 A2 freq b se p N\nrs1001 A G 0.8493 0.0024 0.0055 0.6653 129850\n",
        (None, None, "A", "G", 0.0024, 0.0055, 0.8493, 0.6653, "rs1001", 129850),
    ),
    "LDAK": (
        "Chromosome\tPredictor\tBasepair\tA1\tA2\tWald_Stat\tWald_P\tEffect\tSE\tMAF\tCallRate\tMachR2\n"
        "1\trs4970383\t828418\tA\tC\t-0.6429\t5.2028e-01\t-6.4219e-02\t9.9886e-02\t0.338901\t1.0000\tNA\n",
        ("1", 828418, "A", "C", -0.064219, 0.099886, None, 0.52028, "rs4970383", None),
    ),
    "FaST-LMM": (
        "sid_index\tSNP\tChr\tChrPos\tPValue\tSnpWeight\tSnpWeightSE\tNullh2\n"
        "0\trs4970383\t1\t828418\t0.510759689\t-0.0432224532\t0.0656964156\t0.364059495\n",
        ("1", 828418, None, None, None, None, None, 0.510759689, "rs4970383", None),
    ),
    "PLINK 1": (
        " CHR         SNP         BP   A1       TEST    NMISS       BETA         STAT            P \n"
        "   1   rs4970383     828418    A        ADD      922    -0.1646        -1.68      0.09328 \n"
        "   1   rs4970383     828418    A       COV1      922    0.03            2.50      0.01 \n",
        ("1", 828418, "A", None, -0.1646, -0.1646 / -1.68, None, 0.09328, "rs4970383", 922),
    ),
    "PLINK 1 logistic": (
        " CHR  SNP  BP   A1  TEST  NMISS  OR  SE  L95  U95  STAT  P \n"
        "   X  rs2  12   T   ADD    932   2   0.5  0.7  5.0  1.386  0.1657 \n",
        ("X", 12, "T", None, math.log(2), 0.5, None, 0.1657, "rs2", 932),
    ),
    "PLINK 1 qassoc": (
        " CHR  SNP  BP  NMISS  BETA   SE   R2  T   P \n  1   rs2   12   932  0.5  0.25  0.01  2  0.0458 \n",
        ("1", 12, None, None, 0.5, 0.25, None, 0.0458, "rs2", 932),
    ),
    # T and U are counts of transmissions
    "PLINK 1 tdt": (
        " CHR  SNP  BP  A1  A2  T  U  OR  CHISQ  P \n  1  rs2  12  A  G  20  40  0.5  6.667  0.009823 \n",
        ("1", 12, "A", "G", math.log(0.5), None, None, 0.009823, "rs2", None),
    ),
    "LDSC": (
        "SNP\tA1\tA2\tZ\tN\nrs1\tA\tG\t-1.959964\t1000.000\n",
        (None, None, "A", "G", None, None, None, 0.05, "rs1", 1000),
    ),
    "GWAS-SSF": (
        "chromosome\tbase_pair_location\teffect_allele\tother_allele\todds_ratio\tstandard_error\t"
        "effect_allele_frequency\tp_value\tvariant_id\n23\t1e3\tA\tG\t0.5\t0.1\t#NA\t1e-12\trs7\n",
        ("23", 1000, "A", "G", math.log(0.5), 0.1, None, 1e-12, "rs7", None),
    ),
}
ORDER = [
    "chromosome", "base_pair_location", "effect_allele", "other_allele", "beta", "standard_error",
    "effect_allele_frequency", "p_value", "rsid", "n",
]  # fmt: skip


def written(folder, text, name="file.txt"):
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def same(found, expected):
    if expected is None:
        return bool(pd.isna(found))
    if isinstance(expected, float):
        return math.isclose(found, expected, rel_tol=1e-6)
    return found == expected


@pytest.mark.parametrize("name", SNIPPETS)
def test_programs(tmp_path, name):
    text, expected = SNIPPETS[name]
    table = read_sumstats(written(tmp_path, text))
    assert list(table)[:11] == list(COLUMNS)
    assert len(table) == 1
    row = table.iloc[0]
    assert {c: row[c] for c, e in zip(ORDER, expected, strict=True) if not same(row[c], e)} == {}
    assert math.isclose(row["neg_log_10_p_value"], -math.log10(expected[7]), rel_tol=1e-5)
    program = recognised(re.split(r"\s+", text.split("\n")[0].strip().removeprefix("#"))).name
    assert name.startswith(program)


@pytest.mark.parametrize("name", SNIPPETS)
def test_zipped_with_other_line_ends_and_without_the_last(tmp_path, name):
    text, _ = SNIPPETS[name]
    expected = read_sumstats(written(tmp_path, text))
    for number, other in enumerate((text.replace("\n", "\r\n"), text.rstrip("\n"), text + "\n")):
        # gzipped whatever the name says
        path = written(tmp_path, gzip.compress(other.encode()), f"{number}.txt")
        pd.testing.assert_frame_equal(read_sumstats(path), expected)


@pytest.mark.parametrize("name", [name for name, (text, _) in SNIPPETS.items() if "\t" in text])
def test_blanks_beside_what_separates(tmp_path, name):
    text, _ = SNIPPETS[name]
    expected = read_sumstats(written(tmp_path, text))
    for number, mark in enumerate((", ", " ,", " \t")):
        other = re.sub(r"#NA", "", text).replace("\t", mark).replace("\n", " \n" if number else "\n")
        pd.testing.assert_frame_equal(read_sumstats(written(tmp_path, other, f"{number}.txt")), expected)


def test_every_layout_has_a_snippet():
    assert {layout.name for layout in LAYOUTS} <= set(SNIPPETS)


COJO = "SNP A1 A2 freq b se p N\n"


@pytest.mark.parametrize(
    ("text", "log"),
    [("1e-400", 400.0), ("3.1622776601683795E-1000", 999.5), ("1e-5", 5.0), ("0.1", 1.0), ("1", 0.0),
     ("0.00001e-395", 400.0), ("2e-310", 310 - math.log10(2)), ("1e-999999", 999999.0), ("NA", math.nan)],
)  # fmt: skip
def test_p_too_small_for_a_double(tmp_path, text, log):
    found = read_sumstats(written(tmp_path, f"{COJO}rs1 A G 0.5 0.1 0.1 {text} 10\n"))["neg_log_10_p_value"]
    assert found[0] == pytest.approx(log, rel=1e-15, abs=0, nan_ok=True)


def test_p_of_zero_is_computed_from_the_effect(tmp_path, caplog):
    text = f"{COJO}rs1 A G 0.5 4 0.1 0 10\nrs2 A G 0.5 NA NA 0.0 10\nrs3 A G 0.5 1 1 0.3 10\n"
    with caplog.at_level(logging.WARNING, "henderson"):
        table = read_sumstats(written(tmp_path, text))
    assert table["neg_log_10_p_value"][0] == neg_log10_normal(40.0)
    assert table["neg_log_10_p_value"][1] == np.inf
    assert "p is 0 in 2 rows" in caplog.text
    assert "1 are computed from beta" in caplog.text


def test_logarithms_are_preferred_to_p(tmp_path):
    head = "#CHROM\tPOS\tID\tREF\tALT\tA1\tTEST\tOBS_CT\tBETA\tSE\tT_STAT\tLOG10_P\tERRCODE\n"
    text = f"{head}1\t5\tv\tC\tA\tC\tADD\t9\t1\t2\t0.5\t321.5\tUNFINISHED\n"
    table = read_sumstats(written(tmp_path, text))
    assert table["neg_log_10_p_value"][0] == 321.5
    assert table["p_value"][0] == 10**-321.5
    assert (table["effect_allele"][0], table["other_allele"][0]) == ("C", "A")  # of the effect of REF, ALT
    assert table["status"][0] == "UNFINISHED"


def test_each_row_has_what_either_of_two_columns_says(tmp_path):
    """The GWAS Catalog's harmonised files have columns that are empty in all or some of the rows."""
    text = (
        "chromosome base_pair_location effect_allele other_allele beta odds_ratio standard_error p_value "
        "neg_log_10_p_value\n"
        "1 5 A C NA 2 0.1 1e-400 NA\n1 6 A C -0.3 NA 0.1 NA 3\n1 7 A C NA NA NA NA NA\n"
    )
    found = read_sumstats(written(tmp_path, text.replace(" ", "\t")))
    np.testing.assert_allclose(found["beta"], [np.log(2), -0.3, np.nan])
    np.testing.assert_allclose(found["neg_log_10_p_value"], [400, 3, np.nan])
    np.testing.assert_allclose(found["p_value"], [0, 1e-3, np.nan])


def test_names_in_quotation_marks(tmp_path):
    text = '"SNP","A1","A2","freq","b","se","p","N"\n"rs1","A","G",0.2,1,0.1,0.01,100\n'
    with pytest.raises(DataError, match=r"stand in quotation marks; write the file without them \(in R"):
        read_sumstats(written(tmp_path, text))


def test_other_tests_than_the_additive_one(tmp_path, caplog):
    text, _ = SNIPPETS["PLINK 1"]
    with caplog.at_level(logging.INFO, "henderson"):
        assert len(read_sumstats(written(tmp_path, text))) == 1
    assert "1 rows of other tests than ADD are left out" in caplog.text
    with pytest.raises(DataError, match=r"no additive tests \(ADD in the column TEST\), but DOM, COV1"):
        read_sumstats(written(tmp_path, text.replace("ADD", "DOM")))


def scan_table():
    """A scan's table with everything that is awkward."""
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
            "h2": [0.1, np.nan, 0.2, 0.3],
            "status": ["ok", "monomorphic", "ok", "ok"],
        }
    )


def test_our_own_files(tmp_path):
    table = scan_table()
    expected = table[[*COLUMNS, "status"]]
    with scan_writer(tmp_path / "scan", {"trait": "height"}, chromosomes={}) as writer:
        writer.write({name: table[name].to_numpy() for name in table})
    pd.testing.assert_frame_equal(read_sumstats(tmp_path / "scan.parquet"), expected, check_dtype=False)
    pd.testing.assert_frame_equal(read_sumstats(tmp_path / "scan.tsv.gz"), expected, check_dtype=False)
    write_gwas_ssf(table, tmp_path / "scan.tsv")
    coded = read_sumstats(tmp_path / "scan.tsv", format="gwas-ssf")
    assert coded["chromosome"].tolist() == ["1", "1", "23", "25"]
    assert coded["neg_log_10_p_value"].tolist()[2:] == [12.0, 1234.5]
    # without the column of logarithms, the text of p says it
    write_gwas_ssf(table, tmp_path / "both.tsv")
    lines = [line.split("\t") for line in (tmp_path / "both.tsv").read_text().splitlines()]
    at = lines[0].index("neg_log_10_p_value")
    bare = "\n".join("\t".join(cells[:at] + cells[at + 1 :]) for cells in lines)
    assert read_sumstats(written(tmp_path, bare))["neg_log_10_p_value"][3] == pytest.approx(1234.5, rel=1e-12)


def test_rows_of_several_traits_are_not_taken_for_one(tmp_path):
    one = scan_table()
    both = pd.concat([one.assign(trait="height"), one.assign(trait="weight")], ignore_index=True)
    both.to_parquet(tmp_path / "both.parquet")
    said = r"has the rows of 2 traits \(height, weight\), and one is wanted: choose its rows by the column"
    with pytest.raises(DataError, match=f"both.parquet {said}"):
        read_sumstats(tmp_path / "both.parquet")
    with pytest.raises(DataError, match=f"the table {said}"):
        write_sumstats(both, tmp_path / "both.ma", format="cojo")
    with pytest.raises(DataError, match=f"the table {said}"):
        clump(both, ArraySource.of([[0, 1, 2]]))
    assert not (tmp_path / "both.ma").exists()
    both[both["trait"] == "weight"].to_parquet(tmp_path / "one.parquet")
    assert len(read_sumstats(tmp_path / "one.parquet")) == len(one)


def test_what_is_in_several_pieces(tmp_path, monkeypatch):
    import henderson.io.sumstats_text as text_of

    rng = np.random.default_rng(1)
    lines = [f"rs{i} A G 0.5 {b} 0.1 {p} 10" for i, (b, p) in enumerate(rng.random((500, 2)))]
    path = written(tmp_path, COJO + "\n".join(lines) + "\n")
    expected = read_sumstats(path)
    monkeypatch.setattr(text_of, "_PIECE", 777)
    pd.testing.assert_frame_equal(read_sumstats(path), expected)
    assert expected["rsid"].tolist() == [f"rs{i}" for i in range(500)]
    lines[413] = lines[413].replace("0.1", "0,1")
    with pytest.raises(DataError, match="line 415, column se: '0,1' is no number"):
        read_sumstats(written(tmp_path, COJO + "\n".join(lines)))


BAD = [
    ("rs1 A G 0.5 0.1 0.1 0.5", "line 3: 7 cells, but there are 8 columns"),
    ("rs1 A G 0.5 0.1 0.1 0.5 10 11", "line 3: 9 cells"),
    ("rs1 A G 0.5 x 0.1 0.5 10", "line 3, column b: 'x' is no number"),
    ("rs1 A G 0.5 0.1 0.1 1.5 10", "line 3, column p: '1.5' cannot be; a p-value lies between 0 and 1"),
    ("rs1 A G 0.5 0.1 0.1 -0.1 10", "line 3, column p: '-0.1' cannot be"),
    ("rs1 A G 0.5 0.1 -0.1 0.1 10", "line 3, column se: '-0.1' cannot be"),
    ("rs1 A G 50 0.1 0.1 0.1 10", "line 3, column freq: '50' cannot be; a frequency lies between 0 and 1"),
    ("rs1 A G 0.5 0.1 0.1 0.1 -1", "line 3, column N: '-1' cannot be"),
    ("rs1 A G 0.5 0x10 0.1 0.1 1", "line 3, column b: '0x10' is no number"),
    ("rs1 A G 0.5 1_0 0.1 0.1 1", "line 3, column b: '1_0' is no number"),
    ("rs1 A G 0.5 0.1 0.1 1e-5e 1", "line 3, column p: '1e-5e' is no number"),
    ("rs1 A\0 G 0.5 0.1 0.1 0.1 1", "line 3 holds binary data"),
    (b"rs1 A\xff G 0.5 0.1 0.1 0.1 1", "line 3: the byte 0xff is not UTF-8"),
]


@pytest.mark.parametrize(("line", "said"), BAD)
def test_bad_lines(tmp_path, line, said):
    line = line if isinstance(line, bytes) else line.encode()
    content = COJO.encode() + b"rs0 A G 0.5 0.1 0.1 0.5 10\n" + line + b"\nrs9 A G 0.5 0.1 0.1 0.5 10\n"
    with pytest.raises(DataError, match=re.escape(said)):
        read_sumstats(written(tmp_path, content))


@pytest.mark.parametrize("position", ["1.5", "inf", "1e300"])
def test_positions_are_whole_numbers(tmp_path, position):
    text = SNIPPETS["GCTA MLMA"][0].replace("828418", position)
    with pytest.raises(DataError, match=f"line 2, column bp: '{position}' cannot be; a position is a whole"):
        read_sumstats(written(tmp_path, text))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"FID IID PC1\n1 2 3\n", "no format that henderson knows: FID, IID, PC1. It reads GWAS-SSF"),
        (b"SNP A1 A2 freq b se p N\n", "has column names but no rows"),
        (b"SNP A1 A2 freq b se p N N\n", "more than one column is called 'N'"),
        (b"\x1f\x8bxx", "cannot be read|damaged|not a gzip"),
        (gzip.compress(b"SNP A1 A2 freq b se p N\nrs1 A G .5 1 1 1 1\n" * 99)[:-20], "damaged or incomplete"),
        (b"\0\1\2", "is no text"),
        (b"SNP,A1,A2\tfreq b se p N\n", "no format"),
    ],
)
def test_bad_files(tmp_path, content, said):
    with pytest.raises(DataError, match=said):
        read_sumstats(written(tmp_path, content))


def test_bad_paths_and_formats(tmp_path):
    path = written(tmp_path, SNIPPETS["GEMMA"][0])
    with pytest.raises(DataError, match=r"no file .*filex.txt; did you mean .*file.txt"):
        read_sumstats(tmp_path / "filex.txt")
    with pytest.raises(DataError, match="no file"):
        read_sumstats(tmp_path / "no.parquet")
    with pytest.raises(DataError, match="is a folder"):
        read_sumstats(tmp_path)
    with pytest.raises(DataError, match="is of the format GEMMA, not BOLT-LMM"):
        read_sumstats(path, format="BOLT-LMM")
    with pytest.raises(DataError, match="format='xyz' is not one of GWAS-SSF"):
        read_sumstats(path, format="xyz")
    with pytest.raises(DataError, match="cannot be read"):
        read_sumstats(written(tmp_path, b"PAR1 no", "bad.parquet"))
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(DataError, match="no table of a genome scan: it has no column base_pair_location"):
        read_sumstats(tmp_path / "other.parquet")
    scan_table().assign(p_value=2.0).to_parquet(tmp_path / "wrong.parquet")
    with pytest.raises(DataError, match="row 1, column p_value"):
        read_sumstats(tmp_path / "wrong.parquet")


def plainly(text):
    """The cells of each line, by Python alone."""
    lines = [line for line in text.split("\n") if line.strip()]
    mark = next((mark for mark in "\t," if mark in lines[0]), None)
    rows = [[cell.strip() for cell in line.split(mark)] for line in lines]
    return pd.DataFrame(rows[1:], columns=[rows[0][0].removeprefix("#"), *rows[0][1:]])


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(SNIPPETS)), st.randoms(use_true_random=False))
def test_mutated_files_are_refused_or_read_as_they_are(tmp_path_factory, name, rng: random.Random):
    text = bytearray(SNIPPETS[name][0].encode())
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text))
        kind = rng.randrange(4)
        if kind == 0:
            text[at] = rng.choice(b"\t \n\r0123456789.eE+-NAX#\"',;\xff\x00")
        elif kind == 1:
            del text[at : at + rng.randint(1, 12)]
        elif kind == 2:
            text[at:at] = bytes(rng.choice(b"\t \n019.e-+N") for _ in range(rng.randint(1, 3)))
        else:
            del text[at:]
        if not text:
            break
    path = written(tmp_path_factory.mktemp("mutated"), bytes(text))
    try:
        table = read_sumstats(path)
    except DataError:
        return
    cells = plainly(text.decode("utf-8-sig", errors="replace").replace("\r\n", "\n"))
    layout = recognised(cells.columns)
    found = layout.found(cells.columns)
    if "test" in found:
        cells = cells[cells[found["test"]] == "ADD"]
    assert len(table) == len(cells)
    for ours, theirs in found.items():
        if COLUMNS.get(ours, "text") == "text" or ours == "p_value":
            continue
        given_numbers = pd.to_numeric(cells[theirs], errors="coerce").to_numpy(dtype=float)
        read = table[ours].to_numpy(dtype=float)
        finite = np.isfinite(given_numbers)
        assert np.allclose(read[finite], np.maximum(given_numbers, -1e300)[finite], rtol=1e-14)


def direct(path):
    """A reference file as pandas reads it."""
    return pd.read_csv(path, sep=r"\s+", dtype=str, keep_default_na=False)


PEERS = {
    "plink2/glm.*.glm.linear.gz": ("BETA", "SE", "A1_FREQ", "P", "A1"),
    "plink2/glm.*.glm.logistic.hybrid.gz": ("OR", "LOG(OR)_SE", "A1_FREQ", "P", "A1"),
    "regenie/step2_*.regenie.gz": ("BETA", "SE", "A1FREQ", "LOG10P", "ALLELE1"),
    "bolt/lmmInf_*.stats.gz": ("BETA", "SE", "A1FREQ", "P_BOLT_LMM_INF", "ALLELE1"),
    "bolt/lmm_*.stats.gz": ("BETA", "SE", "A1FREQ", "P_BOLT_LMM", "ALLELE1"),
    "gemma/lm*_n?.assoc.txt.gz": ("beta", "se", "af", "p_wald", "allele1"),
    "gemma/lm*_cov.assoc.txt.gz": ("beta", "se", "af", "p_wald", "allele1"),
    "gcta/*.mlma.gz": ("b", "se", "Freq", "p", "A1"),
    "gcta/*.fastGWA.gz": ("BETA", "SE", "AF1", "P", "A1"),
    "ldak/lin_*.assoc.gz": ("Effect", "SE", None, "Wald_P", "A1"),
    "fastlmm/*.txt.gz": (None, None, None, "PValue", None),
}


@needs_gwas_reference
@pytest.mark.parametrize("pattern", PEERS)
def test_reference_files(pattern):
    paths = sorted((GWAS / "expected").glob(f"*/{pattern}"))
    assert paths
    for path in paths:
        table, cells = read_sumstats(path), direct(path)
        assert len(table) == len(cells), path
        beta, se, frequency, p, allele = PEERS[pattern]
        for ours, theirs in (("standard_error", se), ("effect_allele_frequency", frequency), ("beta", beta)):
            if theirs is None:
                assert table[ours].isna().all()
                continue
            expected = pd.to_numeric(cells[theirs], errors="coerce").to_numpy(copy=True)
            if theirs == "OR":
                expected = np.log(expected)
            expected[np.isinf(expected)] = np.nan
            assert np.allclose(table[ours], expected, rtol=1e-15, atol=0, equal_nan=True), (path, ours)
        expected = pd.to_numeric(cells[p], errors="coerce").to_numpy()
        found = table["neg_log_10_p_value"].to_numpy()
        assert np.array_equal(found, expected if p == "LOG10P" else -np.log10(expected), equal_nan=True), path
        if allele is not None:
            assert (table["effect_allele"] == cells[allele]).all()
            assert (table["effect_allele"] != table["other_allele"]).all()
        name = next(c for c in ("ID", "SNP", "rs", "Predictor") if c in cells)
        assert (table["rsid"] == cells[name]).all()
