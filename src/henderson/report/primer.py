"""The demonstration in plain words: the primer's five people, a published experiment, a small genome scan."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from henderson.association import lmer_variants
from henderson.genotype import genotype_coding, standardise
from henderson.io.examples import example_data
from henderson.lmm import lmer
from henderson.report.cohort import LINKED, CohortScan, demo_cohort, scan_cohort

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

TOP = 8
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
    _scan_a_genome(console)

    _say(console, "[bold]Do it yourself[/bold]")
    console.print(
        "  import henderson as hd\n"
        '  fit = hd.lmer("height ~ variant3 + (1 | family)", data)\n'
        "  print(fit)\n"
        '  result = hd.scan("height ~ age + sex", people, "cohort.bed",\n'
        '                   relationship="grm")\n'
        "  print(result.table)\n\n"
        '  $ henderson fit "height ~ variant3 + (1 | family)" people.csv\n'
        "  $ henderson gwas --bfile cohort --pheno heights.txt --covar covariates.txt --out scan\n",
        markup=False,
    )


def _scan_a_genome(console: "Console") -> None:
    """Scan the generated cohort and hold what was found against the truth."""
    cohort = demo_cohort()
    found = scan_cohort(cohort)
    m, n = cohort.genotypes.calls.shape
    effects = " and ".join(", ".join(f"{effect:.1f}" for effect in cohort.causal.values()).rsplit(", ", 1))

    _say(console, "[bold]A whole genome, of which we know the truth[/bold]")
    _say(
        console,
        f"{n} people made up by the computer: couples with three children each, and {m:,} variants on three "
        f"chromosomes. One variant on each chromosome has a large effect on height ({effects} cm per copy); "
        "hundreds of others have effects too small to be found among so few people. Can we find the three?",
    )
    _say(
        console,
        "One mixed model per variant: height = age + sex + effect x variant + what relatives share + "
        "residual. Who is related to whom, and how closely, is read off the genome itself: the genomic "
        f"relationship matrix (GRM). Of {m:,} tests, {0.05 * m:.0f} would have p < 0.05 by chance alone; "
        f'so only p < 0.05 / {m:,} = {found.threshold:.1e} counts (Bonferroni). "Plain p" is that of '
        "regression without the GRM.",
    )
    console.print(_hits_table(found))
    for sentence in (*_discoveries(found), *_why_mixed(found)):
        _say(console, sentence)
    h2 = found.heritability
    _say(
        console,
        "[bold]Heritability.[/bold] Of the variance that age and sex leave, the share that goes with the "
        f"genome is estimated at {h2.h2:.2f} (standard error {h2.h2_se:.2f}); in truth it is "
        f"{cohort.heritability:.2f}.",
    )


def _hits_table(found: CohortScan) -> "Table":
    """Lay out the smallest p-values, and the causal variants wherever they are."""
    ranked = found.table.sort_values("neg_log10_p", ascending=False, na_position="last")
    ranked = ranked.assign(place=range(1, len(ranked) + 1))
    shown = ranked[(ranked["place"] <= TOP) | ranked["true_effect"].notna()]
    rows = (
        (
            str(row["place"]),
            row["variant"],
            f"{row['beta']:+.2f}",
            f"{row['standard_error']:.2f}",
            f"{row['p_value']:.1e}",
            f"{row['plain_p_value']:.1e}",
            _truth(row),
        )
        for row in shown.to_dict("records")
    )
    return _table(["", "variant", "cm per copy", "SE", "p", "plain p", "the truth"], rows)


def _truth(row: dict[Any, Any]) -> str:
    """What a variant really does."""
    if not np.isnan(row["true_effect"]):
        return f"[bold]causal: {row['true_effect']:+.2f}[/bold]"
    if row["r2"] >= LINKED:
        return f"near {row['cause']}"
    return "small or none"


def _discoveries(found: CohortScan) -> list[str]:
    """Say which of the causal variants were found."""
    table = found.table
    causal = table[table["true_effect"].notna()]
    significant = causal["p_value"] <= found.threshold
    hits, missed = causal[significant], causal[~significant]
    sentences = [f"[bold]Found: {len(hits)} of the {len(causal)} large effects.[/bold]"]
    sentences += [
        f"{row['variant']}: estimated at {row['beta']:.1f} cm per copy (standard error "
        f"{row['standard_error']:.1f}), in truth {row['true_effect']:.1f}."
        for row in hits.to_dict("records")
    ]
    sentences += [
        f"[bold]Not found: {row['variant']}[/bold], in truth {row['true_effect']:.1f} cm per copy: "
        f"p = {row['p_value']:.1e} is not small enough. With {found.heritability.n} people that happens."
        for row in missed.to_dict("records")
    ]
    passed = table[table["p_value"] <= found.threshold]
    near = int((passed["true_effect"].isna() & (passed["r2"] >= LINKED)).sum())
    if near:
        sentences.append(
            f"{near} more got below the threshold because {'it is' if near == 1 else 'they are'} inherited "
            "together with a causal neighbour. Which of the neighbours does it, a scan alone cannot tell."
        )
    return [" ".join(sentences)]


def _why_mixed(found: CohortScan) -> list[str]:
    """Say what plain regression would have claimed."""
    table = found.table
    far = table["r2"] < LINKED
    plain = table["plain_p_value"] <= found.threshold
    mixed = table["p_value"] <= found.threshold
    sentences = [
        "[bold]Why not plain regression?[/bold] lambda_GC compares the typical test statistic with what "
        "it would be if no variant did anything: 1 is as it should be. Plain regression, which takes "
        f"relatives for strangers, has {found.plain_lambda_gc:.2f}, and calls {plain.sum()} variants "
        f"significant, {(plain & far).sum()} of them nowhere near a large effect. The mixed model has "
        f"{found.lambda_gc:.2f} and calls {mixed.sum()}, {(mixed & far).sum()} of them far away."
    ]
    if found.lambda_gc < 0.98:
        sentences.append(
            "(A little below 1: each variant is in the relationship matrix too, which explains part of "
            "it away. The test is on the cautious side.)"
        )
    return [" ".join(sentences)]


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
