"""The text of GWAS-SSF, the exchange format of the GWAS Catalog for summary statistics.

The choices that the standard (version 1.1) leaves open, or that are stricter there:

* the eight mandatory columns come first, in the standard's order, then all others in the table's order;
* ``p_value`` is the mandatory column, ``neg_log_10_p_value`` stands beside it. A p-value too small for a
  double is written from its logarithm (``3.16227766017e-401``), so that it is never 0 in the text;
* numbers have as many digits as identify the double, so that reading them gives back every bit;
* what is missing is ``#NA``. Variants that could not be tested keep their row, with ``#NA`` and the reason in
  ``status``; the Catalog's validator wants them left out;
* ``rsid`` holds the identifier of the genotype file, be it an rs number or not;
* chromosomes X, Y and MT are 23, 24 and 25, with or without ``chr``; everything else stays as it is.
"""

import datetime
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

MANDATORY = (
    "chromosome",
    "base_pair_location",
    "effect_allele",
    "other_allele",
    "beta",
    "standard_error",
    "effect_allele_frequency",
    "p_value",
)
#: The standard's numbers for human chromosomes that are not numbers.
HUMAN_CHROMOSOMES: Mapping[str, str] = {"X": "23", "Y": "24", "MT": "25", "M": "25"}
_LAST_AUTOSOME = 22
_MISSING = "#NA"
_SMALLEST = 1e-300  # below it a double loses digits, then underflows
_UNKNOWN = ("genome_assembly", "trait_description", "genotyping_technology", "samples")


def chromosome_codes(names: Iterable[str]) -> Mapping[str, str]:
    """The numbers of X, Y and MT; none where chromosomes above 22 show that these are not human.

    Examples
    --------
    >>> chromosome_codes(["1", "22", "X"])["X"], chromosome_codes(["chr29", "chrX"])
    ('23', {})
    """
    bare = {name.removeprefix("chr") for name in names}
    numbers = (int(name) for name in bare if name.isdecimal())
    return {} if any(number > _LAST_AUTOSOME for number in numbers) else HUMAN_CHROMOSOMES


def ssf_columns(names: list[str]) -> list[str]:
    """Put the mandatory columns first.

    Parameters
    ----------
    names : list of str
        The columns of a scan's table.

    Returns
    -------
    list of str
        The same names, in the order of a GWAS-SSF file.

    Raises
    ------
    KeyError
        If a mandatory column is absent.
    """
    absent = [name for name in MANDATORY if name not in names]
    if absent:
        raise KeyError(f"a GWAS-SSF file needs the columns {', '.join(absent)}")
    return [*MANDATORY, *(name for name in names if name not in MANDATORY)]


def ssf_header(names: list[str]) -> bytes:
    """The first line of the file, for the columns of a scan's table."""
    return ("\t".join(ssf_columns(names)) + "\n").encode()


def ssf_rows(table: "pa.Table", chromosomes: Mapping[str, str] = HUMAN_CHROMOSOMES) -> memoryview:
    """Format rows as text.

    Parameters
    ----------
    table : pyarrow.Table
        Rows of a scan; missing numbers are null.
    chromosomes : mapping of str to str
        What to call chromosomes in the file; names that it does not have stay as they are.

    Returns
    -------
    memoryview of bytes
        The lines, UTF-8, without a header.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    names = ssf_columns(table.column_names)
    if not table.num_rows:
        return memoryview(b"")
    table = table.combine_chunks()
    fields = []
    for name in names:
        column = _flat(table[name])
        if pa.types.is_string(column.type):
            fields.append(_tidied(column, name, chromosomes))
            continue
        text = pc.cast(column, pa.string())
        if name.startswith("p_") and f"neg_log_10_{name}" in names:
            text = without_underflow(text, column, _flat(table[f"neg_log_10_{name}"]))
        fields.append(text)
    options = {"null_handling": "replace", "null_replacement": _MISSING}
    fields[-1] = pc.binary_join_element_wise(fields[-1], "", "\n", **options)
    lines = _flat(pc.binary_join_element_wise(*fields, "\t", **options))
    # The strings of an array lie one behind the other: its buffer is the text.
    first, last = _ends(lines)
    return memoryview(lines.buffers()[2])[first:last]


def ssf_metadata(file_name: str, md5: str, known: Mapping[str, Any], version: str) -> str:
    """Write the companion ``-meta.yaml`` of a GWAS-SSF file.

    Parameters
    ----------
    file_name : str
        Name of the data file.
    md5 : str
        Its MD5 sum, in hexadecimal.
    known : mapping
        Fields of the standard that the caller knows, such as ``genome_assembly``.
    version : str
        henderson's.

    Returns
    -------
    str
        YAML; its values are written as JSON, which YAML contains.

    Examples
    --------
    >>> print(ssf_metadata("a.tsv.gz", "d41d8", {"genome_assembly": "GRCh38"}, "1.0").splitlines()[0])
    "data_file_name": "a.tsv.gz"
    """
    fields: dict[str, Any] = {
        "data_file_name": file_name,
        "file_type": "GWAS-SSF v1.0",
        "data_file_md5sum": md5,
        "date_metadata_last_modified": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "analysis_software": f"henderson {version}",
        "coordinate_system": "1-based",
        "is_harmonised": False,
        **known,
    }
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in fields.items()]
    absent = [name for name in _UNKNOWN if name not in fields]
    if absent:
        lines.append(f"# The GWAS Catalog also asks for: {', '.join(absent)}")
    return "\n".join(lines) + "\n"


def _flat(column: "pa.ChunkedArray") -> "pa.Array":
    """A column as one array."""
    import pyarrow as pa

    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _tidied(column: "pa.Array", name: str, chromosomes: Mapping[str, str]) -> "pa.Array":
    """Text as the file has it: no tabs, none empty, chromosomes numbered with or without ``chr``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = pc.dictionary_encode(column)
    values = pc.replace_substring_regex(encoded.dictionary, "[\t\r\n]", " ")
    if name == "chromosome":
        plain = [(value, value.removeprefix("chr").upper()) for value in values.to_pylist()]
        values = pa.array([chromosomes.get(key, value) for value, key in plain], pa.string())
    blank = pa.array(["", "."] if name == "rsid" else [""])
    values = pc.if_else(pc.is_in(values, blank), _MISSING, values)
    return pc.take(values, encoded.indices)


def without_underflow(text: "pa.Array", p: "pa.Array", logs: "pa.Array") -> "pa.Array":
    """Replace the text of p-values that a double cannot hold by one made from -log10 p."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    values = np.asarray(p.to_numpy(zero_copy_only=False), dtype=float)
    powers = np.asarray(logs.to_numpy(zero_copy_only=False), dtype=float)
    tiny = (values < _SMALLEST) & np.isfinite(powers)
    if not tiny.any():
        return text
    replacements = pa.array([_power_of_ten(x) for x in powers[tiny].tolist()], pa.string())
    return pc.replace_with_mask(text, pa.array(tiny), replacements)


def _power_of_ten(x: float) -> str:
    """10^-x as text, for an x far beyond the range of doubles; as many digits as x determines."""
    whole = int(x) + 1
    mantissa = f"{10.0 ** (whole - x):.12g}"
    if mantissa == "10":
        mantissa, whole = "1", whole - 1
    return f"{mantissa}e-{whole}"


def _ends(strings: "pa.Array") -> tuple[int, int]:
    """Where in its buffer the first string of an array begins and the last one ends."""
    import numpy as np

    offsets = np.frombuffer(strings.buffers()[1], dtype=np.int32)
    return int(offsets[strings.offset]), int(offsets[strings.offset + len(strings)])
