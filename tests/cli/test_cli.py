import os
import subprocess
import sys

import pandas as pd
import pytest

from henderson import __version__, example_data
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


@pytest.fixture
def sleep(tmp_path):
    path = tmp_path / "sleep.csv"
    example_data("sleepstudy").to_csv(path, index=False)
    return path


SLEEP = "Reaction ~ Days + (Days | Subject)"


def test_degrees_of_freedom(sleep, capsys):
    for chosen, rows in {
        (): "Days          10.467      1.546  17.000   6.771 3.26e-06 ***",
        ("--ddf", "kenward-roger"): "Days          10.467      1.546  17.000   6.771 3.26e-06 ***",
        ("--ddf", "none"): "Days          10.467      1.546   6.771",
    }.items():
        status, out, _ = ran(capsys, "fit", SLEEP, sleep, *chosen)
        assert status == 0
        assert rows in out.splitlines()
    status, out, err = ran(capsys, "fit", SLEEP, sleep, "--ddf", "kenward-roger", "--ml")
    assert (status, out) == (2, "")
    assert "is by maximum likelihood: fit with REML" in err


def test_anova_is_printed_and_written(sleep, tmp_path, capsys):
    status, out, _ = ran(capsys, "fit", SLEEP, sleep, "--anova", "--out", tmp_path / "s")
    assert status == 0
    assert out.splitlines()[-3] == "F tests of the terms (type III):"
    assert out.splitlines()[-1].split()[0] == "Days"
    assert (tmp_path / "s.summary.txt").read_text() == out
    table = pd.read_csv(tmp_path / "s.anova.tsv", sep="\t")
    assert table["term"].tolist() == ["Days"]
    assert table["f"].item() == pytest.approx(45.8530, abs=1e-4)
    status, out, err = ran(capsys, "fit", SLEEP, sleep, "--anova", "--ddf", "none")
    assert (status, out) == (2, "")
    assert "--anova needs degrees of freedom" in err


def test_says_what_was_used(people, capsys):
    table = pd.read_csv(people).assign(w=[1.0, 2, 1, 2, 1], known=0.1)
    table.to_csv(people, index=False)
    _, out, _ = ran(capsys, "fit", FORMULA, people)
    assert out.startswith(f"Data: {people}\nLinear mixed model")

    chosen = ["--subset", "person != 2", "--offset", "known", "--weights", "w"]
    _, out, _ = ran(capsys, "fit", "height ~ 1 + (1 | family)", people, *chosen)
    assert out.startswith(
        f"Data: {people}\nWeights: w\nOffset: known\nSubset: person != 2\nLinear mixed model"
    )


def test_a_slip_among_numbers_is_refused_where_the_model_uses_them(tmp_path, capsys):
    table = example_data("sleepstudy").astype({"Days": str, "Subject": str})
    table["note"] = table["Days"].where(table.index != 7, "late")
    table.loc[4, "Days"] = "n/a"
    table.loc[:9, "Subject"] = "X"
    path = tmp_path / "sleep.csv"
    table.to_csv(path, index=False)

    simple = "Reaction ~ 1 + (1 | Subject)"
    for arguments in (
        ["Reaction ~ Days + (1 | Subject)"],
        ["Reaction ~ log(Days + 1) + (1 | Subject)"],
        ["Reaction ~ 1 + (1 + I(-Days) | Subject)"],
        [simple, "--subset", "Days > 1"],
    ):
        status, _, err = ran(capsys, "fit", arguments[0], path, *arguments[1:])
        assert status == 2
        assert f"{path}, line 6, column Days: 'n/a' is no number" in err
    assert ran(capsys, "fit", simple, path)[0] == 0
    assert ran(capsys, "fit", simple, path, "--subset", "Days != 'n/a'")[0] == 0
    assert ran(capsys, "fit", "Reaction ~ factor(Days) + (1 | Subject)", path)[0] == 0
    status, _, err = ran(capsys, "fit", simple, path, "--weights", "note")
    assert status == 2
    assert "line 9, column note: 'late' is no number" in err


@pytest.mark.parametrize("prefix", ["{folder}", "{folder}/", "{folder}/new/", ".", ""])
def test_out_must_not_be_a_folder(people, tmp_path, capsys, prefix):
    status, out, err = ran(capsys, "fit", FORMULA, people, "--out", prefix.format(folder=tmp_path))

    assert status == 2
    assert not out
    assert "names a folder; add how the names of the files begin" in err
    assert [p.name for p in tmp_path.iterdir()] == ["people.csv"]


@pytest.mark.parametrize("table", ["people.tsv.gz", "people.parquet"])
def test_other_formats(people, tmp_path, capsys, table):
    frame = pd.read_csv(people)
    if table.endswith("parquet"):
        frame.to_parquet(tmp_path / table)
    else:
        frame.to_csv(tmp_path / table, sep="\t", index=False)
    status, out, err = ran(capsys, "fit", FORMULA, people)

    assert ran(capsys, "fit", FORMULA, tmp_path / table) == (status, out.replace("people.csv", table), err)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["ft"], 'Did you mean "fit"?'),
        (["fit", FORMULA], "TABLE"),
        (["fit", FORMULA, "{people}", "--weigths", "w"], "Did you mean --weights?"),
        (["fit", FORMULA, "nowhere.csv"], "There is no file nowhere.csv"),
        (["fit", FORMULA, "{empty}"], "empty.csv is empty"),
        (["fit", "heigth ~ (1 | family)", "{people}"], "did you mean 'height'"),
        (["fit", "height ~ varient3 + (1 | family)", "{people}"], "did you mean 'variant"),
        (["fit", "height ~ (1 | famly)", "{people}"], "did you mean 'family'"),
        (["fit", FORMULA, "{people}", "--subset", "persn > 2"], "did you mean 'person'"),
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


def test_an_interrupt_is_status_130(people, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("henderson.io.tables.read_table", interrupted)

    assert ran(capsys, "fit", FORMULA, people) == (130, "", "")


def test_a_reader_that_leaves_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -c 'from henderson.cli import main; main()' demo | true",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )

    assert not done.stderr
