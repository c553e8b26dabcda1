import io
from pathlib import Path

import pytest
from rich.console import Console

from henderson.report.primer import primer_numbers, primer_people, run_demo


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
