import os
import subprocess
import sys

import pandas as pd
import pytest

from henderson import __version__
from henderson.cli import run
from henderson.report.primer import primer_numbers, primer_people

FORMULA = "height ~ variant3 + (1 | family)"


@pytest.fixture
def people(tmp_path):
    path = tmp_path / "people.csv"
    primer_numbers(primer_people()).to_csv(path, index=False)
    return path


def ran(capsys, *tokens):
    status = run([str(token) for token in tokens])
    out, err = capsys.readouterr()
    return status, out, err


def test_fit_prints_the_model(people, capsys):
    status, out, err = ran(capsys, "fit", FORMULA, people)

    assert status == 0
    assert "1.04884" in out
    assert "family" in out
    assert not err


def test_maximum_likelihood_and_subset(people, capsys):
    status, reml, _ = ran(capsys, "fit", FORMULA, people)
    assert status == 0
    status, ml, _ = ran(capsys, "fit", FORMULA, people, "--ml")
    assert status == 0
    assert "maximum likelihood" in ml
    assert ml != reml
    status, fewer, _ = ran(capsys, "fit", "height ~ 1 + (1 | family)", people, "--subset", "person != 2")
    assert status == 0
    assert "Number of obs: 4" in fewer


def test_weights_and_offset(people, capsys):
    table = pd.read_csv(people)
    table["w"], table["known"] = [1.0, 2, 1, 2, 1], 0.1 * table["variant1"]
    table.to_csv(people, index=False)
    status, weighted, _ = ran(capsys, "fit", FORMULA, people, "--weights", "w")
    assert status == 0
    status, shifted, _ = ran(capsys, "fit", FORMULA, people, "--offset", "known")
    assert status == 0
    assert weighted != shifted


def test_a_singular_fit_is_an_answer(people, capsys):
    status, out, _ = ran(capsys, "fit", "height ~ variant1 + (1 | family)", people)

    assert status == 0
    assert "singular" in out


def test_out_writes_three_files(people, tmp_path, capsys):
    status, out, _ = ran(capsys, "fit", FORMULA, people, "--out", tmp_path / "height")

    assert status == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "height.ranef.tsv",
        "height.summary.txt",
        "height.tidy.tsv",
        "people.csv",
    ]
    assert (tmp_path / "height.summary.txt").read_text() == out
    tidy = pd.read_csv(tmp_path / "height.tidy.tsv", sep="\t")
    assert tidy.loc[tidy["term"] == "variant3", "estimate"].item() == pytest.approx(1.0488402, abs=5e-8)
    ranef = pd.read_csv(tmp_path / "height.ranef.tsv", sep="\t")
    assert ranef["group"].tolist() == ["family", "family"]
    assert ranef["level"].tolist() == [1, 2]
    assert ranef["term"].tolist() == ["(Intercept)", "(Intercept)"]
    assert ranef["estimate"].tolist() == pytest.approx([0.1390242, -0.1390242], abs=1e-6)
    assert (ranef["std_error"] > 0).all()


@pytest.mark.parametrize("table", ["people.tsv.gz", "people.parquet"])
def test_other_formats(people, tmp_path, capsys, table):
    frame = pd.read_csv(people)
    if table.endswith("parquet"):
        frame.to_parquet(tmp_path / table)
    else:
        frame.to_csv(tmp_path / table, sep="\t", index=False)
    expected = ran(capsys, "fit", FORMULA, people)

    assert ran(capsys, "fit", FORMULA, tmp_path / table) == expected


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["ft"], 'Did you mean "fit"?'),
        (["fit", FORMULA], "TABLE"),
        (["fit", FORMULA, "{people}", "--weigths", "w"], "Did you mean --weights?"),
        (["fit", FORMULA, "nowhere.csv"], "There is no file nowhere.csv"),
        (["fit", FORMULA, "{empty}"], "empty.csv is empty"),
        (["fit", "heigth ~ (1 | family)", "{people}"], "did you mean 'height'"),
        (["fit", "height ~ (1 | family", "{people}"], "height ~ (1 | family"),
        (["fit", "height ~ variant3", "{people}"], "height ~ variant3"),
        (["fit", FORMULA, "{people}", "--weights", "w"], "'w'"),
        (["fit", FORMULA, "{people}", "--subset", "person"], "subset"),
        (["fit", FORMULA, "{people}", "--subset", "person > 9"], "no rows"),
        (["fit", FORMULA, "{people}", "--out", "nowhere/x"], "there is no folder nowhere"),
    ],
)
def test_mistakes_are_one_message_and_status_2(people, tmp_path, capsys, tokens, message):
    (tmp_path / "empty.csv").write_text("")
    filled = [token.format(people=people, empty=tmp_path / "empty.csv") for token in tokens]
    status, out, err = ran(capsys, *filled)

    assert status == 2
    assert not out
    assert err.startswith("henderson: ")
    assert message in err
    assert "Traceback" not in err


def test_nothing_half_written_when_a_file_cannot_be(people, tmp_path, capsys):
    (tmp_path / "height.ranef.tsv").mkdir()
    status, _, err = ran(capsys, "fit", FORMULA, people, "--out", tmp_path / "height")

    assert status == 2
    assert "height.ranef.tsv" in err
    assert not list(tmp_path.glob("*.partial"))


def test_version_and_help(capsys):
    assert ran(capsys, "--version") == (0, f"{__version__}\n", "")
    status, out, _ = ran(capsys, "--help")
    assert status == 0
    assert "fit" in out
    assert "demo" in out


def test_the_demo_runs_as_a_command():
    done = subprocess.run(
        [sys.executable, "-c", "from henderson.cli import main; main()", "demo"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "100"},
    )

    assert "1.0488402" in done.stdout
    assert not done.stderr


def test_a_reader_that_leaves_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -c 'from henderson.cli import main; main()' demo | true",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )

    assert not done.stderr
