"""R's rules for laying out numbers, names and tables as text.

Only what a model summary needs: common formatting of a vector (``format``), rounding of negligible values
(``zapsmall``), p-values (``format.pval``), abbreviated names (``abbreviate``) and the printed forms of a
matrix of strings, a named vector and a filled line.
"""

import math
import sys
from collections.abc import Callable, Sequence

_MAX_DECIMALS = 22
"""R never shows more decimals than this in fixed notation."""


def round_decimal(value: float, digits: int) -> float:
    """Round to decimals as R (4.0.0 and later) does, and never to a negative zero.

    Of the two neighbours with that many decimals the one that is closer in floating-point arithmetic
    is taken, the even one when both are equally close.

    Parameters
    ----------
    value : float
        The number; NaN and infinities pass through.
    digits : int
        Decimals to keep, at least 0.

    Returns
    -------
    float
        The rounded number.

    Examples
    --------
    >>> round_decimal(165.195, 2), round(165.195, 2)
    (165.2, 165.19)
    >>> round_decimal(-0.0004, 3)
    0.0
    """
    size = abs(value)
    if not math.isfinite(value) or size == 0:
        return value + 0.0
    # Beyond a double's 15 digits, or its smallest numbers, there is nothing left to round.
    held = digits + (math.frexp(size)[1] - 0.5) * math.log10(2)
    if held > sys.float_info.dig or digits > sys.float_info.max_10_exp:
        return value
    scale = 10.0**digits
    lower = math.floor(size * scale)
    below, above = lower / scale, math.ceil(size * scale) / scale
    gap_below, gap_above = size - below, above - size
    take_below = gap_below < gap_above or (gap_below == gap_above and lower % 2 == 0)
    return math.copysign(below if take_below else above, value) + 0.0


def _significant(value: float, digits: int) -> tuple[int, int, int]:
    """Return decimal exponent, significant digits needed (at most `digits`) and digits left of the point."""
    if value == 0:
        return 0, 1, 1
    mantissa, _, exponent_text = f"{abs(value):.{digits - 1}e}".partition("e")
    exponent = int(exponent_text)
    needed = len(mantissa.replace(".", "").rstrip("0"))
    # 9996 with three digits is 1e+04 in scientific notation but still four digits wide in fixed notation.
    limit = 10.0 ** min(exponent, _MAX_DECIMALS) - 0.5 / 10.0 ** max(0, digits - max(0, exponent))
    widened = 0 < exponent <= _MAX_DECIMALS and abs(value) < limit
    return exponent, needed, exponent + 1 - widened


def _non_finite(value: float) -> str:
    """Return R's word for a number that is not finite."""
    return "NaN" if math.isnan(value) else ("Inf" if value > 0 else "-Inf")


def format_numbers(values: Sequence[float], digits: int = 7, *, min_decimals: int = 0) -> tuple[str, ...]:
    """Format numbers alike, to the same width, as R's ``format`` does.

    As many decimals are shown as the most demanding element needs to show `digits` significant digits, its
    trailing zeros dropped. Scientific notation is used for all when it is narrower than fixed notation.

    Parameters
    ----------
    values : sequence of float
        The numbers; NaN and infinities are allowed.
    digits : int, default 7
        Significant digits that the most demanding element may show.
    min_decimals : int, default 0
        Least number of decimals in fixed notation (R's ``nsmall``).

    Returns
    -------
    tuple of str
        One text per number, padded on the left to a common width.

    Examples
    --------
    >>> format_numbers([612.1001, 35.071661, 654.94], 4)
    ('612.10', ' 35.07', '654.94')
    >>> format_numbers([251.4, 1.0467e-04], 4)
    ('2.514e+02', '1.047e-04')
    """
    finite = [float(value) for value in values if math.isfinite(value)]
    decimals, width, scientific = 0, 0, False
    if finite:
        shapes = [_significant(value, digits) for value in finite]
        negative = any(value < 0 for value in finite)
        left = max(
            (value < 0) + max(1, integer) for value, (_, _, integer) in zip(finite, shapes, strict=True)
        )
        fixed_decimals = min(_MAX_DECIMALS, max(0, *(needed - power - 1 for power, needed, _ in shapes)))
        scientific_decimals = max(needed for _, needed, _ in shapes) - 1
        exponent_digits = 3 if any(power >= 100 or power <= -99 for power, _, _ in shapes) else 2
        fixed_width = left + fixed_decimals + (fixed_decimals > 0)
        scientific_width = (
            negative + 1 + (scientific_decimals > 0) + scientific_decimals + 2 + exponent_digits
        )
        scientific = fixed_width > scientific_width
        decimals = scientific_decimals if scientific else max(fixed_decimals, min_decimals)
        width = scientific_width if scientific else left + decimals + (decimals > 0)
    style = f".{decimals}{'e' if scientific else 'f'}"
    # Adding zero takes the sign off a negative zero, which R does not show.
    texts = [format(value + 0.0, style) if math.isfinite(value) else _non_finite(value) for value in values]
    # R keeps room for the digit that 99.996 gains in four significant digits, even if its decimals are shown.
    width = max([width, *map(len, texts)])
    return tuple(text.rjust(width) for text in texts)


def pad(texts: Sequence[str], *, right: bool = False) -> tuple[str, ...]:
    """Pad texts with blanks to the width of the longest.

    Parameters
    ----------
    texts : sequence of str
        The texts.
    right : bool, default False
        Whether the texts move to the right edge.

    Returns
    -------
    tuple of str
        The texts, equally wide.

    Examples
    --------
    >>> pad(["***", "."])
    ('***', '.  ')
    """
    width = max(map(len, texts), default=0)
    return tuple(text.rjust(width) if right else text.ljust(width) for text in texts)


def zap_small(values: Sequence[float], digits: int) -> tuple[float, ...]:
    """Round numbers so that the largest of them keeps `digits` digits, as R's ``zapsmall`` does.

    Parameters
    ----------
    values : sequence of float
        The numbers.
    digits : int
        Digits of the largest magnitude to keep.

    Returns
    -------
    tuple of float
        The rounded numbers: what is negligible beside the largest has become zero.

    Examples
    --------
    >>> zap_small([-3.1, 2e-16, 4.7], 5)
    (-3.1, 0.0, 4.7)
    """
    largest = max((abs(value) for value in values if not math.isnan(value)), default=0.0)
    if largest > 0 and math.isfinite(largest):
        digits = math.floor(max(0.0, digits - math.log10(largest)) + 0.5)
    return tuple(round_decimal(value, digits) for value in values)


def format_p_values(
    values: Sequence[float], digits: int = 3, *, smallest: float = sys.float_info.epsilon
) -> tuple[str, ...]:
    """Format p-values as R's ``format.pval`` does.

    Parameters
    ----------
    values : sequence of float
        The p-values; NaN is allowed.
    digits : int, default 3
        Significant digits.
    smallest : float
        Values below this are shown as ``"< smallest"``; machine epsilon unless given.

    Returns
    -------
    tuple of str
        One text per p-value, not padded to a common width.

    Examples
    --------
    >>> format_p_values([0.04321, 3.264e-06, 1e-20])
    ('0.0432', '3.26e-06', '< 2e-16')
    """
    shown = [value for value in values if value >= smallest]
    # Values of 1e-4 and more are laid out together in fixed notation, the others together in scientific.
    fixed = [value for value in shown if _is_fixed_p_value(value, digits)]
    small = [value for value in shown if not _is_fixed_p_value(value, digits)]
    texts = dict(zip(fixed, format_numbers(fixed, digits), strict=True))
    texts |= dict(zip(small, format_numbers(small, digits), strict=True))
    bound_digits = max(1, digits - 2)
    separator = "" if bound_digits == 1 else " "
    if shown:
        widest = max(map(len, texts.values()))
        if bound_digits > 1 and bound_digits + 6 > widest:
            bound_digits = max(1, widest - 7)
        separator = "" if bound_digits == 1 and widest <= 6 else " "
    bound = f"<{separator}{format_numbers([smallest], bound_digits)[0]}"
    return tuple("NaN" if math.isnan(value) else texts.get(value, bound) for value in values)


def _is_fixed_p_value(value: float, digits: int) -> bool:
    """Tell whether R groups a p-value with those in fixed notation."""
    exponent = math.floor(math.log10(value))
    return exponent >= -3 or (exponent == -4 and digits > 1)


def abbreviate(names: Sequence[str], min_length: int) -> tuple[str, ...]:
    """Abbreviate names as R's ``abbreviate`` does, keeping different names different.

    From the right and sparing the first letter of each word, lower-case vowels are dropped, then lower-case
    letters, then anything, until `min_length` characters are left. Names that thereby become equal are
    abbreviated again to one character more.

    Parameters
    ----------
    names : sequence of str
        The names.
    min_length : int
        Length to aim at.

    Returns
    -------
    tuple of str
        The abbreviated names.

    Examples
    --------
    >>> abbreviate(["(Intercept)", "SexFemale", "I(age - 11)"], 6)
    ('(Intr)', 'SexFml', 'I(-11)')
    """
    names = [name.strip(" ") for name in names]
    short: dict[str, str] = {}
    pending = list(dict.fromkeys(names))
    while pending:
        short |= {name: _shorten(name, min_length) for name in pending}
        found = list(short.values())
        pending = [name for name, text in short.items() if found.count(text) > 1]
        min_length += 1
    return tuple(short[name] for name in names)


def _shorten(name: str, min_length: int) -> str:
    """Abbreviate one name; the first character always stays."""
    chars = list(name)
    blanks = sum(char.isspace() for char in chars)

    def starts_word(i: int) -> bool:
        return chars[i - 1].isspace()

    def ends_word(i: int) -> bool:
        return not chars[i - 1].isspace() and (i + 1 == len(chars) or chars[i + 1].isspace())

    passes: tuple[Callable[[int], bool], ...] = (
        lambda i: chars[i] in "aeiou" and ends_word(i),
        lambda i: chars[i] in "aeiou" and not starts_word(i),
        lambda i: chars[i].islower() and ends_word(i),
        lambda i: chars[i].islower() and not starts_word(i),
        lambda i: not chars[i].isspace() and not starts_word(i),
    )
    for droppable in passes:
        for i in range(len(chars) - 1, 0, -1):
            if len(chars) - blanks <= min_length:
                break
            if droppable(i):
                del chars[i]
    if len(chars) > min_length:
        chars = [char for char in chars if not char.isspace()]
    return "".join(chars)


def format_matrix(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    row_names: Sequence[str],
    *,
    right: bool = False,
    width: int = 80,
) -> list[str]:
    """Lay out a matrix of texts as R prints it: columns that do not fit follow below, the row names again.

    Parameters
    ----------
    header : sequence of str, length c
        Column names.
    rows : sequence of sequences of str, shape (r, c)
        The cells.
    row_names : sequence of str, length r
        Names at the left edge, always left-aligned.
    right : bool, default False
        Whether cells and column names are right-aligned.
    width : int, default 80
        Columns of the page.

    Returns
    -------
    list of str
        The lines.

    Examples
    --------
    >>> format_matrix(["a", "bb"], [["1", "2"], ["3", "4"]], ["x", "yy"], right=True)
    ['   a bb', 'x  1  2', 'yy 3  4']
    """
    labels = pad(["", *row_names])
    columns = [pad(column, right=right) for column in zip(header, *rows, strict=True)]
    lines: list[str] = []
    first = 0
    while first < len(columns):
        last = first + 1
        used = len(labels[0]) + 1 + len(columns[first][0])
        while last < len(columns) and used + 1 + len(columns[last][0]) < width:
            used += 1 + len(columns[last][0])
            last += 1
        lines += [" ".join(cells) for cells in zip(labels, *columns[first:last], strict=True)]
        first = last
    return lines


def format_named(names: Sequence[str], texts: Sequence[str], *, width: int = 80) -> list[str]:
    """Lay out a named vector as R prints it: names above values, all equally wide.

    Parameters
    ----------
    names : sequence of str
        The names.
    texts : sequence of str
        The formatted values.
    width : int, default 80
        Columns of the page.

    Returns
    -------
    list of str
        The lines, each with R's blank at its end.

    Examples
    --------
    >>> format_named(["Min", "Max"], ["-1.5", " 2.0"])
    [' Min  Max ', '-1.5  2.0 ']
    """
    cells = pad([*names, *texts], right=True)
    per_line = max(1, width // (len(cells[0]) + 1))
    lines: list[str] = []
    for start in range(0, len(names), per_line):
        for row in (cells[: len(names)], cells[len(names) :]):
            lines.append("".join(cell + " " for cell in row[start : start + per_line]))
    return lines


def fill_line(first: str, second: str, *, width: int = 80) -> list[str]:
    """Put two texts on one line if they fit, else on two, as R's ``cat(..., fill = TRUE)`` does.

    Parameters
    ----------
    first, second : str
        The texts.
    width : int, default 80
        Columns of the page.

    Returns
    -------
    list of str
        One line or two; the first of two ends in the separating blank.

    Examples
    --------
    >>> fill_line("Formula:", "y ~ x")
    ['Formula: y ~ x']
    """
    if len(first) + len(second) + 2 > width:
        return [first + " ", second]
    return [f"{first} {second}"]
