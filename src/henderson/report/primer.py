"""The demonstration: the primer's five people in plain words, then a published experiment."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from henderson.association import lmer_variants
from henderson.fit import lmer
from henderson.genotype import genotype_coding, standardise
from henderson.io.examples import example_data

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

COUNTED_ALLELES = {"variant1": "T", "variant2": "C", "variant3": "T"}
FORMULA = "height ~ (1 | family)"


def primer_people() -> "pd.DataFrame":
    """Give the five people of the primer: genotypes as letters, height in centimetres, family.

    Returns
    -------
    pandas.DataFrame, 5 rows
        Columns ``person``, ``variant1``, ``variant2``, ``variant3``, ``height`` and ``family``.

    Examples
    --------
    >>> primer_people().loc[0, ["variant1", "variant2", "variant3"]].tolist()
    ['CC', 'CT', 'AT']
    """
    import pandas as pd

    return pd.DataFrame(
        {
            "person": [1, 2, 3, 4, 5],
            "variant1": ["CC", "TT", "CT", "CC", "CC"],
            "variant2": ["CT", "TT", "CT", "TT", "CC"],
            "variant3": ["AT", "AA", "AA", "AA", "TT"],
            "height": [180.0, 160.0, 158.0, 155.0, 193.0],
            "family": [1, 1, 1, 2, 2],
        }
    )


def primer_numbers(people: "pd.DataFrame") -> "pd.DataFrame":
    """Replace the letters by counts of an allele, then standardise genotypes and heights.

    Parameters
    ----------
    people : pandas.DataFrame
        As `primer_people` gives them.

    Returns
    -------
    pandas.DataFrame
        The same columns; variants and height have mean 0 and standard deviation 1.
    """
    numbers = people.copy()
    for variant, allele in COUNTED_ALLELES.items():
        numbers[variant] = standardise(genotype_coding(people[variant], allele))
    numbers["height"] = standardise(people["height"])
    return numbers


def run_demo(console: "Console") -> None:
    """Work through the primer's analysis and explain each step.

    Parameters
    ----------
    console : rich.console.Console
        Where to write.
    """
    people = primer_people()
    numbers = primer_numbers(people)
    effects = lmer_variants(FORMULA, numbers, list(COUNTED_ALLELES))

    _say(console, "[bold]Does a variant change height, when relatives are alike anyway?[/bold]")
    _say(
        console,
        "Five people of two families. At each of three variants a person carries two letters, one from each "
        "parent; height is in centimetres.",
    )
    console.print(_table(people.columns, people.itertuples(index=False)))

    alleles = ", ".join(f"{allele} at {variant}" for variant, allele in COUNTED_ALLELES.items())
    _say(console, "[bold]From letters to numbers[/bold]")
    _say(
        console,
        f"Count the copies of one letter ({alleles}). Then shift and scale each column, height too, "
        "so that its mean is 0 and its standard deviation 1: effects become comparable.",
    )
    console.print(_table(numbers.columns, numbers.round(3).itertuples(index=False)))

    _say(console, "[bold]One mixed model per variant[/bold]")
    _say(
        console,
        "height = intercept + effect x variant + shift of the family + residual. The effect is "
        "[bold]fixed[/bold]: one number, the same for everybody. The families' shifts are "
        "[bold]random[/bold]: drawn from a normal distribution of which we learn the variance. "
        "A model with both is [bold]mixed[/bold].",
    )
    console.print(_effects_table(effects))
    for sentence in _meaning(effects):
        _say(console, sentence)

    _say(console, "[bold]The same on real data[/bold]")
    _say(
        console,
        "Reaction times of 18 people on ten days of restricted sleep (Belenky et al. 2003). Everybody has a "
        "level and a slowing per day of their own: both are random, and may be correlated.",
    )
    fit = lmer("Reaction ~ Days + (Days | Subject)", example_data("sleepstudy"))
    console.print(str(fit), markup=False)
    console.print()
    _say(
        console,
        f"On average people slow down by {fit.fixef['Days']:.1f} ms per day (standard error "
        f"{fit.se['Days']:.1f}); between people this differs with a standard deviation of "
        f"{fit.varcorr['Subject'].sd[1]:.1f} ms.",
    )

    _say(console, "[bold]Do it yourself[/bold]")
    console.print(
        "  import henderson as hd\n"
        '  fit = hd.lmer("height ~ variant3 + (1 | family)", data)\n'
        "  print(fit)\n\n"
        '  $ henderson fit "height ~ variant3 + (1 | family)" people.csv\n',
        markup=False,
    )


def _say(console: "Console", text: str) -> None:
    """Write one paragraph."""
    console.print(text, width=min(console.width, 90))
    console.print()


def _table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> "Table":
    """Lay out rows under a header."""
    from rich import box
    from rich.table import Table

    table = Table(*header, box=box.SIMPLE)
    for row in rows:
        table.add_row(*map(str, row))
    for column in table.columns:
        column.justify = "right"
    return table


def _effects_table(effects: "pd.DataFrame") -> "Table":
    """Lay out one column per variant."""
    lines = [
        ("effect", "estimate", ".7f"),
        ("its standard error", "std_error", ".7f"),
        ("family variance", "group_variance", ".8f"),
        ("residual variance", "residual_variance", ".9f"),
        ("proportion due to family", "proportion", ".7f"),
        ("singular", "singular", ""),
        ("effect by plain least squares", "ols_estimate", ".7f"),
        ("its standard error", "ols_std_error", ".7f"),
    ]
    rows = ([title, *(_shown(value, style) for value in effects[name])] for title, name, style in lines)
    return _table(["", *effects["variant"]], rows)


def _shown(value: float | bool, style: str) -> str:
    """Write one cell of the table."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return format(value, style)


def _meaning(effects: "pd.DataFrame") -> list[str]:
    """Say in words what the table shows."""
    sentences = []
    singular = effects[effects["singular"]]
    if len(singular):
        names = " and ".join(singular["variant"])
        sentences.append(
            f"[bold]{names}: singular, and that is fine.[/bold] The family variance came out as exactly 0. "
            "Nothing went wrong: with this variant in the model, members of one family seem no more alike "
            "than strangers, so the family has nothing left to explain, and the mixed model says what plain "
            "least squares says. With two families this happens often; it does not prove that families do "
            "not matter."
        )
    sentences.extend(
        f"[bold]{row['variant']}: the family counts.[/bold] Of what the variant leaves unexplained, "
        f"{row['proportion']:.0%} is shared by the members of a family. Ignoring that, plain least squares "
        f"puts the effect at {row['ols_estimate']:.2f} (standard error {row['ols_std_error']:.3f}); taking "
        f"it into account, it is {row['estimate']:.2f} ({row['std_error']:.3f})."
        for row in effects[~effects["singular"]].to_dict("records")
    )
    return sentences
