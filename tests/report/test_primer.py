import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from henderson.report.cohort import demo_cohort, scan_cohort
from henderson.report.primer import _discoveries, _why_mixed, primer_numbers, primer_people, run_demo


def shown(width):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    run_demo(console)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_the_demo_shows_rs_numbers(width):
    text = shown(width)

    for number in ["-0.5000913", "0.8525024", "1.0488402", "0.04201681"]:
        assert number in text
    for number in ["0.999878212", "0.364319641", "0.007307271", "0.8518519", "0.9866667"]:
        assert number in text


def test_the_demo_says_kindly_that_a_fit_is_singular():
    text = " ".join(shown(100).split())

    assert "variant1 and variant2: singular, and that is fine." in text
    assert "variant3: the family counts." in text
    assert "85%" in text


def test_the_demo_scans_a_genome_and_names_what_it_found():
    text = " ".join(shown(80).split())
    cohort = demo_cohort()
    scanned = scan_cohort(cohort)
    causal = scanned.table.dropna(subset="true_effect")

    for row in causal.to_dict("records"):
        assert row["variant"] in text
        assert f"{row['beta']:+.2f}" in text
        assert f"causal: {row['true_effect']:+.2f}" in text
        assert (f"Not found: {row['variant']}" in text) == (row["p_value"] > scanned.threshold)
    assert f"Found: {(causal['p_value'] <= scanned.threshold).sum()} of the 3" in text
    assert f"{scanned.plain_lambda_gc:.2f}" in text
    assert f"estimated at {scanned.heritability.h2:.2f}" in text
    assert "in truth it is 0.60" in text


def test_the_demo_says_what_it_did_not_find():
    found = scan_cohort(demo_cohort())
    table = found.table.copy()
    row = table["true_effect"].idxmin()
    linked = table[(table["cause"] == table["variant"][row]) & table["true_effect"].isna()]
    table.loc[row, "p_value"], table.loc[linked["r2"].idxmax(), "p_value"] = 1e-3, 1e-9
    (text,) = _discoveries(replace(found, table=table))

    assert f"Not found: {table['variant'][row]}" in text
    assert "p = 1.0e-03 is not small enough" in text
    assert "1 more got below the threshold because it is inherited together" in text


@pytest.mark.parametrize(("value", "mentioned"), [(0.93, True), (1.02, False)])
def test_the_demo_explains_a_lambda_below_one(value, mentioned):
    (text,) = _why_mixed(replace(scan_cohort(demo_cohort()), lambda_gc=value))

    assert f"The mixed model has {value}" in text
    assert ("cautious" in text) == mentioned


def test_numbers_are_standardised():
    numbers = primer_numbers(primer_people())

    for name in ["height", "variant1", "variant2", "variant3"]:
        assert numbers[name].mean() == pytest.approx(0, abs=1e-15)
        assert numbers[name].std() == pytest.approx(1)


def test_the_people_are_those_of_the_tutorial():
    page = (Path(__file__).parents[2] / "docs" / "tutorials" / "primer.md").read_text(encoding="utf-8")
    for person in primer_people().to_dict("records"):
        cells = [person["person"], person["variant1"], person["variant2"], person["variant3"]]
        row = f"| {' | '.join(map(str, cells))} | {person['height']:.0f} | {person['family']} |"
        assert row in page
