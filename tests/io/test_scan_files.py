import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

import henderson
from henderson.errors import DataError
from henderson.io.scan_files import scan_writer, write_gwas_ssf

pq = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")

MANDATORY = ["chromosome", "base_pair_location", "effect_allele", "other_allele"]
MANDATORY += ["beta", "standard_error", "effect_allele_frequency", "p_value"]


def scan_table(m, seed=0):
    """A scan's table with every kind of number: tiny, huge, missing, underflowing."""
    rng = np.random.default_rng(seed)
    logs = rng.exponential(0.5, m)
    logs[: m // 50] *= 500
    table = {
        "chromosome": np.repeat(["1", "2", "X", "MT"], -(-m // 4))[:m],
        "base_pair_location": np.arange(m) - 3,
        "effect_allele": rng.choice(list("ACGT"), m),
        "other_allele": rng.choice(["A", "TTTG"], m),
        "beta": rng.normal(size=m) * 10.0 ** rng.integers(-12, 12, m),
        "standard_error": rng.random(m),
        "effect_allele_frequency": rng.random(m),
        "p_value": 10.0**-logs,
        "neg_log_10_p_value": logs,
        "rsid": np.array([f"rs{i}" for i in range(m)]),
        "n": rng.integers(1, 10**12, m),
        "h2": rng.random(m),
        "status": np.where(np.arange(m) % 7 == 3, "monomorphic", "ok"),
    }
    for name in ["beta", "standard_error", "p_value", "neg_log_10_p_value", "h2"]:
        table[name][table["status"] == "monomorphic"] = np.nan
    return table


def blocks(table, *, size):
    m = len(table["beta"])
    for start in range(0, m, size):
        yield {name: values[start : start + size] for name, values in table.items()}


def write(prefix, table, *, size):
    with scan_writer(prefix, {"trait": "height", "maf": 0.01}) as writer:
        for block in blocks(table, size=size):
            writer.write(block)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_parquet_gives_back_every_bit(tmp_path):
    table = scan_table(3000)

    write(tmp_path / "a", table, size=700)
    read = pd.read_parquet(tmp_path / "a.parquet")

    assert list(read) == list(table)
    for name, values in table.items():
        np.testing.assert_array_equal(read[name].to_numpy(), values, err_msg=name)
    assert read["n"].dtype == read["base_pair_location"].dtype == np.int64
    about = pq.read_schema(tmp_path / "a.parquet").metadata
    assert about[b"henderson.version"].decode() == henderson.__version__
    assert json.loads(about[b"henderson.options"]) == {"trait": "height", "maf": 0.01}


def test_missing_numbers_are_null_in_parquet(tmp_path):
    table = scan_table(100)

    write(tmp_path / "a", table, size=100)

    missing = int(np.isnan(table["beta"]).sum())
    assert missing > 0
    assert pq.read_table(tmp_path / "a.parquet")["beta"].null_count == missing


def test_text_gives_back_every_bit(tmp_path):
    table = scan_table(3000)

    write(tmp_path / "a", table, size=700)
    read = pd.read_csv(tmp_path / "a.tsv.gz", sep="\t", dtype=str, na_values=["#NA"], keep_default_na=False)
    for name, values in table.items():
        if values.dtype.kind != "U":
            read[name] = [np.nan if pd.isna(text) else float(text) for text in read[name]]

    assert list(read)[:8] == MANDATORY
    assert sorted(read) == sorted(table)
    renamed = {"X": "23", "MT": "25"}
    assert read["chromosome"].tolist() == [renamed.get(c, c) for c in table["chromosome"]]
    for name in set(table) - {"chromosome", "p_value"}:
        np.testing.assert_array_equal(read[name].to_numpy(), table[name], err_msg=name)
    big = ~(table["p_value"] < 1e-300)
    np.testing.assert_array_equal(read["p_value"][big], table["p_value"][big])


def test_a_p_value_that_underflows_is_written_from_its_logarithm(tmp_path):
    logs = np.array([400.0, 323.5, 12345.678, 301.25, 1e7 + 0.5, 5.0, np.nan])
    table = {name: values[:7] for name, values in scan_table(7).items()} | {"neg_log_10_p_value": logs}
    table["p_value"] = 10.0**-logs
    assert table["p_value"][0] == 0

    write(tmp_path / "a", table, size=7)
    with gzip.open(tmp_path / "a.tsv.gz", "rt") as file:
        texts = [line.split("\t")[7] for line in file][1:]

    for text, x in zip(texts[:6], logs[:6], strict=True):
        assert -float(Decimal(text).log10()) == pytest.approx(x, rel=1e-13, abs=1e-11)
        assert x < 300 or 1 <= float(text.partition("e")[0]) < 10
    assert texts[0] == "1e-400"
    assert texts[6] == "#NA"


def test_other_tests_p_values_do_not_underflow_either(tmp_path):
    table = scan_table(4)
    table |= {"p_lrt": np.zeros(4), "neg_log_10_p_lrt": np.array([310.0, 1000.0, 320.5, 999.0])}

    write(tmp_path / "a", table, size=4)
    text = pd.read_csv(tmp_path / "a.tsv.gz", sep="\t", dtype=str)

    assert text["p_lrt"].tolist() == ["1e-310", "1e-1000", "3.16227766017e-321", "1e-999"]


@pytest.mark.parametrize("size", [1, 999, 65_536, 140_000])
def test_how_the_scan_was_cut_into_blocks_leaves_no_trace(tmp_path, size):
    m = 140_000 if size > 1 else 300
    table = scan_table(m)
    write(tmp_path / "whole", table, size=m)
    write(tmp_path / "cut", table, size=size)

    for ending in ["parquet", "tsv.gz"]:
        assert (tmp_path / f"cut.{ending}").read_bytes() == (tmp_path / f"whole.{ending}").read_bytes()
    assert pq.ParquetFile(tmp_path / "cut.parquet").num_row_groups == -(-m // 65_536)


def test_strings_cannot_break_the_table(tmp_path):
    table = scan_table(3)
    table["rsid"] = np.array(["a\tb", ".", 'say "x"'])
    table["status"] = np.array(["two\nlines", "ok", "ok"])

    write(tmp_path / "a", table, size=3)
    with gzip.open(tmp_path / "a.tsv.gz", "rt") as file:
        lines = [line.rstrip("\n").split("\t") for line in file]

    assert [len(line) for line in lines] == [len(table)] * 4
    read = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    assert [row["rsid"] for row in read] == ["a b", "#NA", 'say "x"']
    assert read[0]["status"] == "two lines"


def test_chromosomes_of_other_species_can_keep_their_names(tmp_path):
    table = scan_table(4) | {"chromosome": np.array(["2", "chrX", "chry", "scaffold_1"])}
    write_gwas_ssf(pd.DataFrame(table), tmp_path / "human.tsv")
    table["chromosome"][0] = "29"
    write_gwas_ssf(pd.DataFrame(table), tmp_path / "cow.tsv")

    def read(name):
        return pd.read_csv(tmp_path / name, sep="\t")["chromosome"].tolist()

    assert read("human.tsv") == ["2", "23", "24", "scaffold_1"]
    assert read("cow.tsv") == ["29", "chrX", "chry", "scaffold_1"]


def test_a_table_gives_the_same_text_as_the_stream(tmp_path):
    table = scan_table(70_000)
    write(tmp_path / "a", table, size=1234)
    write_gwas_ssf(pd.DataFrame(table), tmp_path / "b.tsv.gz")
    frame = pd.DataFrame(table)
    write_gwas_ssf(frame[frame.columns[::-1]].iloc[::-1], tmp_path / "c.tsv")

    assert (tmp_path / "b.tsv.gz").read_bytes() == (tmp_path / "a.tsv.gz").read_bytes()
    backwards = pd.read_csv(tmp_path / "c.tsv", sep="\t", usecols=["rsid"])["rsid"]
    assert backwards.tolist() == frame["rsid"].tolist()[::-1]
    assert (tmp_path / "c.tsv").read_text().split("\n")[0].split("\t")[:8] == MANDATORY


def test_a_table_that_is_no_scan_is_refused(tmp_path):
    with pytest.raises(DataError, match="needs the columns p_value"):
        write_gwas_ssf(pd.DataFrame(scan_table(3)).drop(columns="p_value"), tmp_path / "a.tsv")
    assert names(tmp_path) == []


def test_the_metadata_describe_the_file(tmp_path):
    with scan_writer(tmp_path / "a", {}, ssf_fields={"genome_assembly": "GRCh38"}) as writer:
        writer.write(scan_table(10))

    lines = (tmp_path / "a.tsv.gz-meta.yaml").read_text().splitlines()
    fields = dict(map(json.loads, part) for part in (line.split(": ", 1) for line in lines if line[0] == '"'))
    assert fields["data_file_name"] == "a.tsv.gz"
    assert fields["data_file_md5sum"] == hashlib.md5((tmp_path / "a.tsv.gz").read_bytes()).hexdigest()
    assert fields["genome_assembly"] == "GRCh38"
    assert lines[-1].startswith("#")
    assert "trait_description" in lines[-1]
    assert "genome_assembly" not in lines[-1]


@pytest.mark.parametrize("problem", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("m", [0, 10, 70_000])
def test_an_exception_leaves_nothing_and_older_results_alone(tmp_path, problem, m):
    (tmp_path / "a.parquet").write_text("old")

    def interrupted():
        with scan_writer(tmp_path / "a", {}) as writer:
            if m:
                writer.write(scan_table(m))
            raise problem

    with pytest.raises(problem):
        interrupted()
    assert names(tmp_path) == ["a.parquet"]
    assert (tmp_path / "a.parquet").read_text() == "old"


def test_nothing_has_its_final_name_before_the_end(tmp_path):
    with scan_writer(tmp_path / "a", {}) as writer:
        writer.write(scan_table(70_000))
        assert {name.split(".")[-1] for name in names(tmp_path)} == {"partial"}
    assert names(tmp_path) == ["a.parquet", "a.tsv.gz", "a.tsv.gz-meta.yaml"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_process_leaves_partial_files_only(tmp_path):
    script = """
        import os, signal, sys
        sys.path.insert(0, sys.argv[2])
        from test_scan_files import scan_table
        from henderson.io.scan_files import scan_writer
        with scan_writer(sys.argv[1] + "/a", {}) as writer:
            for _ in range(3):
                writer.write(scan_table(70_000))
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), tmp_path, os.path.dirname(__file__)], check=False
    )

    assert done.returncode == -signal.SIGKILL
    left = names(tmp_path)
    assert len(left) == 2
    assert all(name.endswith(".partial") for name in left)


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_full_disk_is_one_sentence(tmp_path):
    script = """
        import resource, sys
        sys.path.insert(0, sys.argv[2])
        from test_scan_files import scan_table
        from henderson.errors import DataError
        from henderson.io.scan_files import scan_writer
        table = scan_table(70_000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
        try:
            with scan_writer(sys.argv[1] + "/a", {}) as writer:
                for _ in range(3):
                    writer.write(table)
        except DataError as problem:
            print(problem)
    """
    for limit in ["50000", "10000000"]:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), tmp_path, os.path.dirname(__file__), limit],
            check=True,
            capture_output=True,
            text=True,
        )

        assert "cannot be written (File too large)" in done.stdout
        assert done.stdout.count("\n") == 1
        assert done.stderr == ""
        assert names(tmp_path) == []


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    with (
        pytest.raises(DataError, match=r"nowhere.*cannot be written"),
        scan_writer(tmp_path / "nowhere/a", {}),
    ):
        pass


def test_a_scan_without_variants(tmp_path):
    def nothing():
        with scan_writer(tmp_path / "a", {}):
            pass

    with pytest.raises(DataError, match="no variants"):
        nothing()
    assert names(tmp_path) == []

    write(tmp_path / "a", scan_table(5), size=5)
    empty = {name: values[:0] for name, values in scan_table(5).items()}
    with scan_writer(tmp_path / "b", {}) as writer:
        writer.write(empty)
    assert len(pd.read_parquet(tmp_path / "b.parquet")) == 0
    assert list(pd.read_csv(tmp_path / "b.tsv.gz", sep="\t")) == list(
        pd.read_csv(tmp_path / "a.tsv.gz", sep="\t")
    )


def test_blocks_must_have_the_columns_of_the_first(tmp_path):
    def changed():
        with scan_writer(tmp_path / "a", {}) as writer:
            writer.write(scan_table(5))
            writer.write({name: v for name, v in scan_table(5).items() if name != "h2"})

    with pytest.raises(ValueError, match="not those of the first block"):
        changed()
    assert names(tmp_path) == []


def test_without_pyarrow_the_error_says_what_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with (
        pytest.raises(DataError, match=r'pip install "henderson\[parquet\]"'),
        scan_writer(tmp_path / "a", {}),
    ):
        pass
    assert names(tmp_path) == []
