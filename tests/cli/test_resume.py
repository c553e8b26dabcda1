"""Scans that are stopped in the middle, and go on."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import henderson as hd
from command_runs import driven, henderson, log_lines, names, refused, write_table
from henderson.association import stages
from henderson.cli import gwas_run
from henderson.covariance import RelationshipMatrix
from henderson.errors import DataError, HendersonError
from henderson.io.processes import machine
from henderson.io.relationship_files import write_grm

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs signals and limits of POSIX")

TRAITS = ("height", "weight", "bmi")
BASIC = ("gwas", "--bfile", "three", "--pheno", "pheno.txt", "--no-plots", "--threads", "1")


@pytest.fixture
def three(cohort):
    """The cohort with three chromosomes of 100 variants."""
    lines = [line.split("\t") for line in Path("small.bim").read_text().splitlines()]
    text = "".join("\t".join([str(1 + k // 100), *line[1:]]) + "\n" for k, line in enumerate(lines))
    Path("three.bim").write_text(text)
    for ending in ("bed", "fam"):
        shutil.copy(f"small.{ending}", f"three.{ending}")
    return cohort


class Stop(BaseException):
    """Ends a scan as a signal would."""


@pytest.fixture
def stopped(three, monkeypatch):
    """Run a scan with parts of 20 variants that stops before a part is written, by default the eighth."""
    monkeypatch.setattr(gwas_run, "MOST_VARIANTS", 20)

    def call(*options, out="out", before=8, problem=None):
        from henderson.cli import run
        from henderson.io.scan_parts import ScanParts

        write, count = ScanParts.write, 0

        def counted(self, *args, **named):
            nonlocal count
            count += 1
            if count == before:
                raise problem or Stop
            write(self, *args, **named)

        with monkeypatch.context() as patch:
            patch.setattr(ScanParts, "write", counted)
            if problem is not None:
                return run([*BASIC, "--out", out, *options])
            with pytest.raises(Stop):
                run([*BASIC, "--out", out, *options])
        return None

    return call


@pytest.fixture
def done(three, capfd, monkeypatch):
    """Run a scan to its end; gives what it says."""
    monkeypatch.setattr(gwas_run, "MOST_VARIANTS", 20)

    def call(*options, out="out", status=0):
        code, stdout, err = henderson(capfd, *BASIC, "--out", out, *options)
        assert code == status, err
        assert not stdout
        return err

    return call


def same_tables(one: str, other: str, traits=TRAITS) -> None:
    for trait in traits:
        assert pq.read_table(f"{one}.{trait}.parquet").equals(pq.read_table(f"{other}.{trait}.parquet"))
        texts = [gzip.decompress(Path(f"{out}.{trait}.tsv.gz").read_bytes()) for out in (one, other)]
        assert texts[0] == texts[1]
    assert Path(f"{one}.traits.tsv").read_bytes() == Path(f"{other}.traits.tsv").read_bytes()


def left(out: str = "out") -> list[str]:
    return sorted(path.name for path in Path(f"{out}.parts").glob("*.parquet"))


@posix
def test_killed_at_any_moment_a_resumed_scan_has_the_numbers_of_one_that_was_not(three):
    script = Path(__file__).parents[1] / "killed_runs.py"
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    found = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, env=environment, timeout=500
    )
    assert found.returncode == 0, found.stderr
    runs = json.loads(found.stdout)

    assert len(runs) == 28
    for run in runs:
        out = run["out"]
        assert run["status"] == 0, Path(f"{out}.err").read_text()
        same_tables(out, "whole")
        assert [name for name in names(three, f"{out}.") if name.endswith((".parts", ".partial"))] == []
        assert "Traceback" not in Path(f"{out}.err").read_text()
    kills = [kill for run in runs for kill in run["kills"] if kill["status"] == -signal.SIGKILL]
    assert len(kills) >= 28
    # some died while a file was written, some while tables were joined
    assert sum(kill["partial"] for kill in kills) >= 4
    assert sum(bool(kill["tables"] and kill["parts"]) for kill in kills) >= 4
    assert len({kill["parts"] for kill in kills}) >= 5


def test_finished_parts_are_neither_tested_nor_prepared_again(stopped, done, monkeypatch):
    done(out="whole")
    stopped()
    kept = {name: os.stat(f"out.parts/{name}").st_mtime_ns for name in left()}
    assert len(kept) == 7  # the first chromosome, and two parts of the second
    prepared = []
    prepare = stages._prepared
    monkeypatch.setattr(
        stages,
        "_prepared",
        lambda nulls, part, method: (
            prepared.append((nulls.traits, part.name)) or prepare(nulls, part, method)
        ),
    )
    tested = []
    results = gwas_run.results

    def counted(source, group, stage, *args, **named):
        tested.extend((group.traits, int(k)) for k in np.flatnonzero(stage.variants))
        return results(source, group, stage, *args, **named)

    monkeypatch.setattr(gwas_run, "results", counted)
    done("--resume")

    two = ("height", "weight")
    assert prepared == [(two, "2"), (two, "3"), *((("bmi",), name) for name in "123")]
    expected = [(two, k) for k in range(140, 300)] + [(("bmi",), k) for k in range(300)]
    assert tested == expected
    same_tables("out", "whole")


def test_traits_that_are_finished_are_not_fitted_again(stopped, done, monkeypatch):
    done(out="whole")
    stopped(before=15 + 3)
    before = {name: os.stat(name).st_mtime_ns for name in ("out.height.parquet", "out.weight.tsv.gz")}
    asked = []
    gwas = import_module("henderson.cli.gwas")  # the package has a function of this name
    traits = gwas.Traits
    monkeypatch.setattr(
        gwas,
        "Traits",
        lambda formulas, *args, **named: asked.extend(formulas) or traits(formulas, *args, **named),
    )
    err = done("--resume")

    assert asked == ["bmi ~ 1"]
    assert "finished before: height, weight" in err
    assert {name: os.stat(name).st_mtime_ns for name in before} == before
    same_tables("out", "whole")


def test_a_finished_table_that_was_removed_is_made_again(stopped, done):
    done(out="whole")
    stopped(before=15 + 3)
    os.unlink("out.height.parquet")
    done("--resume")

    same_tables("out", "whole")


def test_the_log_of_the_first_run_stays(stopped, done):
    stopped()
    before = log_lines("out")
    done("--resume")
    after = log_lines("out")

    assert before[-1].startswith("interrupted (after ") or before[-1].startswith("failed: ")
    assert after[: len(before)] == before
    assert ": resumed on " in after[len(before) + 1]
    assert after[-1].startswith("finished in ")
    assert any("what is finished is in out.parts: add --resume" in line for line in before)


def test_resume_without_anything_to_resume_starts(done):
    done(out="whole")
    done("--resume")

    same_tables("out", "whole")
    assert "running since" in log_lines("out")[0]


def test_an_unfinished_scan_is_not_replaced_unasked(stopped, done, capfd):
    stopped()
    log, parts = log_lines("out"), left()
    sentence = refused(capfd, *BASIC, "--out", "out")

    assert "out.parts has an unfinished scan of 20" in sentence
    assert "--resume goes on with it, --no-resume starts anew" in sentence
    assert (log_lines("out"), left()) == (log, parts)
    err = done("--no-resume", "--maf", "0.1")
    assert "resumed" not in err
    assert (pd.read_parquet("out.bmi.parquet")["status"] == "allele frequency below 0.1").any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--maf", "0.1"], ["it has no --maf, and this command --maf 0.1"]),
        (["--test", "null"], ["it has no --test, and this command --test null"]),
        (["--pheno-name", "bmi", "height"], ["this command --pheno-name bmi height"]),
        (["--no-loco"], ["--loco"]),
        (["--clump"], ["it has no --clump, and this command --clump"]),  # finished traits have no clumps
    ],
)
def test_another_scan_is_not_resumed(stopped, capfd, options, words):
    stopped()
    log = log_lines("out")
    sentence = refused(capfd, *BASIC, "--out", "out", "--resume", *options)

    for each in ["--resume: the unfinished scan in out.parts is another one", "--no-resume starts", *words]:
        assert each in sentence
    assert log_lines("out") == log


@pytest.mark.parametrize("path", ["pheno.txt", "three.bim", "three.bed"])
def test_a_changed_file_is_named(stopped, capfd, path):
    stopped()
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # of the same size
    assert f"{path} has changed since" in refused(capfd, *BASIC, "--out", "out", "--resume")

    os.unlink(path)
    assert f"{path} is no longer there" in refused(capfd, *BASIC, "--out", "out", "--resume")


def test_what_no_number_depends_on_may_change(stopped, done):
    done(out="whole")
    stopped()
    for name in ("pheno.txt", "three.bed"):
        os.utime(name)
    shutil.move("out.parts", "moved.parts")
    done("--resume", out="moved")

    same_tables("moved", "whole")


def test_a_manifest_that_cannot_be_read(stopped, capfd):
    stopped()
    Path("out.parts/manifest.json").write_text("{")

    sentence = refused(capfd, *BASIC, "--out", "out", "--resume")
    assert "out.parts/manifest.json cannot be read: --no-resume starts anew" in sentence


def test_what_others_keep_in_the_folder_stays(three, done):
    folder = Path("out.parts")
    (folder / "sub").mkdir(parents=True)
    strange = [folder / "data.csv", folder / "lock.old"]
    for path in strange:
        path.write_text("precious")
    done("--no-resume")
    assert [path.read_text() for path in strange] == ["precious"] * 2
    assert sorted(path.name for path in folder.iterdir()) == ["data.csv", "lock.old", "sub"]


def test_two_at_once_are_refused(stopped, done, capfd):
    done(out="whole")
    stopped()
    other = Path(f"out.parts/lock.{machine()}.1")  # process 1 lives as long as the machine
    other.touch()
    log = log_lines("out")
    sentence = refused(capfd, *BASIC, "--out", "out", "--resume")

    assert f"out.parts is in use by process 1 on {machine()}" in sentence
    assert f"remove {other}" in sentence
    assert log_lines("out") == log
    other.rename("out.parts/lock.elsewhere.123")
    assert "in use by process 123 on elsewhere" in refused(capfd, *BASIC, "--out", "out", "--resume")
    os.unlink("out.parts/lock.elsewhere.123")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    Path(f"out.parts/lock.{machine()}.{gone.pid}").touch()
    done("--resume")
    same_tables("out", "whole")


@posix
@pytest.mark.parametrize(("sent", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_leaves_what_is_finished(three, done, capfd, sent, status):
    process = driven(SLOW, *BASIC, "--out", "out")
    assert process.stdout.readline() == "scanning\n", process.communicate()
    process.send_signal(getattr(signal, sent))
    _, err = process.communicate(timeout=30)

    assert process.returncode == status
    assert "what is finished is in out.parts: add --resume to go on from there" in err
    assert "Traceback" not in err
    assert len(left()) == 6
    assert not list(Path("out.parts").glob("lock.*"))
    assert log_lines("out")[-1].startswith("interrupted (after ")
    done(out="whole")
    done("--resume")
    same_tables("out", "whole")


#: Small parts, with a pause before the seventh, which is announced.
SLOW = """
import time
from henderson.cli import gwas_run
gwas_run.MOST_VARIANTS = 20
results, count = gwas_run.results, 0
def slow(*args, **named):
    global count
    count += 1
    if count == 7:
        print("scanning", flush=True)
        time.sleep(20)
    return results(*args, **named)
gwas_run.results = slow
"""


@posix
@pytest.mark.parametrize(
    ("part", "limit", "kept"),
    [(5, 10_000, 4), (1, 40_000, 15)],  # while a part is written, and while parts are joined
)
def test_a_full_disk_keeps_what_is_finished(three, done, part, limit, kept):
    script = f"""
import resource
from henderson.cli import gwas_run
from henderson.io.scan_parts import ScanParts
gwas_run.MOST_VARIANTS = 20
write, count = ScanParts.write, 0
def filling(*args, **named):
    global count
    count += 1
    if count == {part}:
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
    write(*args, **named)
ScanParts.write = filling
"""
    process = driven(script, *BASIC, "--out", "out")
    _, err = process.communicate(timeout=60)

    assert process.returncode == 2
    last = err.splitlines()[-1]
    assert last.startswith("henderson: out.")
    assert "cannot be written (File too large): make room" in last
    assert "Traceback" not in err
    assert log_lines("out")[-1].startswith("failed: out.")
    assert len(left()) == kept
    assert not [name for name in names(three, "out") if name.endswith(".partial")]
    done(out="whole")
    done("--resume")
    same_tables("out", "whole")


def test_a_write_that_fails_stops_the_run_and_not_a_trait(stopped, done, capfd):
    status = stopped(problem=DataError("out.parts/x cannot be written (No space left on device)"))
    _, err = capfd.readouterr()

    assert status == 2
    assert "No space left on device" in err.splitlines()[-1]
    assert len(left()) == 7
    assert log_lines("out")[-1].startswith("failed: ")


def test_a_chromosome_whose_models_fail_has_rows_without_tests(three, done, monkeypatch):
    done(out="whole")
    prepare = stages._prepared

    def failing(nulls, part, method):
        if part.name == "2" and "height" in nulls.traits:
            raise HendersonError("the matrix is not positive semi-definite")
        return prepare(nulls, part, method)

    monkeypatch.setattr(stages, "_prepared", failing)
    err = done(status=1)

    for trait in ("height", "weight"):
        found, whole = (pd.read_parquet(f"{out}.{trait}.parquet") for out in ("out", "whole"))
        on_it = whole["chromosome"] == "2"
        pd.testing.assert_frame_equal(found[~on_it], whole[~on_it])
        assert list(found) == list(whole)
        assert found.loc[on_it, "p_value"].isna().all()
        assert (found.loc[on_it, "status"] == "no model: the matrix is not positive semi-definite").all()
        assert f"{trait}: not tested: chromosome 2: the matrix is not positive semi-definite" in err
    same = [pd.read_parquet(f"{out}.bmi.parquet") for out in ("out", "whole")]
    pd.testing.assert_frame_equal(*same)
    summary = pd.read_csv("out.traits.tsv", sep="\t").set_index("trait")
    assert summary["status"].to_dict() == {
        "height": "chromosome 2: the matrix is not positive semi-definite",
        "weight": "chromosome 2: the matrix is not positive semi-definite",
        "bmi": "ok",
    }


def test_a_failure_is_not_forgotten_by_a_resumed_run(stopped, done, monkeypatch):
    prepare = stages._prepared

    def failing(nulls, part, method):
        if part.name == "1" and "height" in nulls.traits:
            raise HendersonError("no luck")
        return prepare(nulls, part, method)

    with monkeypatch.context() as patch:
        patch.setattr(stages, "_prepared", failing)
        stopped()
    err = done("--resume", status=1)

    assert "height: not tested: chromosome 1: no luck" in err


def test_traits_that_fail_in_their_own_way(three, done):
    """A matrix that is no covariance for those with a weight; no variance; nobody; too few."""
    G = hd.grm("three")
    table = pd.read_csv("pheno.txt", sep="\t")
    table["flat"], table["nothing"] = 1.0, np.nan
    table["few"] = table["height"].where(table.index < 2)
    who = set(zip(table["FID"][:60], table["IID"][:60], strict=True))
    there = np.array([pair in who for pair in zip(G.samples.fid, G.samples.iid, strict=True)])
    matrix = G.matrix.copy()
    out = np.flatnonzero(~there)[:2]
    matrix[out[0], out[1]] = matrix[out[1], out[0]] = 50.0  # of people without a half
    table["half"] = table["weight"].where(table.index < 60)
    write_table(table[["FID", "IID", "flat", "height", "nothing", "few", "half"]], "pheno.txt")
    write_grm(RelationshipMatrix(matrix, G.samples, None), "g.npz")
    err = done("--grm", "g.npz", status=1)

    assert names(three, "out.half") == ["out.half.parquet", "out.half.tsv.gz", "out.half.tsv.gz-meta.yaml"]
    log = "\n".join(log_lines("out"))
    for text in (err, log):
        for trait in ("flat", "height", "nothing", "few"):
            assert f"not analysed: {trait}: " in text
            assert names(three, f"out.{trait}") == []
    assert "not analysed: height: " in err
    assert "not positive semi-definite" in err
    assert log_lines("out")[-1].startswith("finished in ")
    status = pd.read_csv("out.traits.tsv", sep="\t").set_index("trait")["status"]
    assert (status == "ok").to_dict() == {
        "flat": False, "height": False, "nothing": False, "few": False, "half": True
    }  # fmt: skip
    assert not Path("out.parts").exists()


def test_chromosomes_that_take_turns_keep_the_order_of_the_genotypes(three, done, monkeypatch):
    lines = [line.split("\t") for line in Path("small.bim").read_text().splitlines()]
    text = "".join("\t".join([str(1 + k % 3), *line[1:]]) + "\n" for k, line in enumerate(lines))
    Path("three.bim").write_text(text)
    done()
    for trait in TRAITS:
        table = pd.read_parquet(f"out.{trait}.parquet")
        assert table["rsid"].tolist() == [line[1] for line in lines]
    best = pd.read_csv("out.traits.tsv", sep="\t").set_index("trait")
    for trait in TRAITS:
        table = pd.read_parquet(f"out.{trait}.parquet")
        assert best.loc[trait, "rsid"] == table.loc[table["p_value"].idxmin(), "rsid"]
