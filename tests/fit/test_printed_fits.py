"""What ``print(fit)`` shows, for real fits, against the lines that R prints."""

import re

from reference import needs_lmer_reference

NUMBER = re.compile(r"(?<![\w.(])-?\d+(?:\.\d+)?(?:e[-+]\d+)?(?![\w(])")

NOISE = 1e-9
"""Smaller numbers that are printed are zeros with a rounding error."""
LARGE = 20_000
"""Rows from which on the reference fits were polished less."""


def block(lines):
    """The lines from the fit statistics on, without what is said about the fit at the end."""
    start = next(i for i, line in enumerate(lines) if line.startswith("REML criterion") or "df.resid" in line)
    ends = (i for i, line in enumerate(lines) if line.startswith(("optimizer (", "fit warnings:")))
    return lines[start : next(ends, len(lines))]


def unit(text):
    """One unit in the last digit that is shown."""
    mantissa, _, exponent = text.partition("e")
    decimals = len(mantissa.partition(".")[2])
    return 10.0 ** (int(exponent or 0) - decimals)


def alike(line, wanted, units):
    """Whether two lines are the same but for some units in the last digit of their numbers."""
    if NUMBER.sub("#", line) != NUMBER.sub("#", wanted):
        return False
    pairs = list(zip(NUMBER.findall(line), NUMBER.findall(wanted), strict=True))
    return all(
        abs(float(a) - float(b)) <= (units + 0.01) * max(unit(a), unit(b))
        or max(map(abs, (float(a), float(b)))) < NOISE
        for a, b in pairs
    )


def without_random_effects(lines):
    first, last = (
        next(i for i, l in enumerate(lines) if l.startswith(s)) for s in ("Random eff", "Number of obs")
    )
    return lines[:first] + lines[last:]


@needs_lmer_reference
def test_printed(reference_fit):
    stored, _, fit = reference_fit
    wanted = block(stored["print_text"])
    found = block(fit.summary(ddf=None).splitlines())[: len(wanted)]
    assert len(found) == len(wanted)
    if not stored["optimum"]["identified"]:
        # theta is one of many that do as well
        found, wanted = without_random_effects(found), without_random_effects(wanted)
    if any(abs(float(text)) < NOISE for line in wanted for text in NUMBER.findall(line) if "e-" in text):
        # lme4's zero that is not quite zero decides on the width of a column
        found, wanted = ([" ".join(line.split()) for line in lines] for lines in (found, wanted))
    units = 1 if stored["n"]["nobs"] < LARGE else 5
    different = [
        (a, b) for a, b in zip(found, wanted, strict=True) if not alike(a.rstrip(), b.rstrip(), units)
    ]
    assert not different


def test_what_counts_as_alike():
    assert alike(" g  1.25 0.5", " g  1.26 0.5", 1)
    assert not alike(" g  1.25 0.5", " g  1.27 0.5", 1)
    assert not alike(" g  1.25 0.5", " g 1.25 0.5", 1)
    assert not alike(" g  1.25 0.5", " h  1.25 0.5", 1)
    assert alike("x 3.181e-23 NaN", "x 2.161e-23 NaN", 1)
