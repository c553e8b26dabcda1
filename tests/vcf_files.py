"""Write small VCF, BCF and VCF Zarr files for tests, and read their cells by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

HEADER = """\
##fileformat=VCFv4.3
##contig=<ID=1>
##contig=<ID=2>
##contig=<ID=X>
##FILTER=<ID=q10,Description="Quality below 10">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=DS,Number=A,Type=Float,Description="Dosage of each ALT allele">
##FORMAT=<ID=GP,Number=G,Type=Float,Description="Probability of each genotype">
"""


class Line(NamedTuple):
    """One record: ``cells`` is the genotype column of each person."""

    cells: Sequence[str]
    chromosome: str = "1"
    position: int = 1000
    identifier: str = "."
    reference: str = "A"
    alternative: str = "C"
    filter: str = "PASS"
    format: str = "GT"


def lines_of(*rows: str, **others: str) -> list[Line]:
    """Records of cells with spaces between them, at positions 1000, 2000, ..."""
    return [
        Line(row.split(), position=1000 * j, identifier=f"v{j}", **others)
        for j, row in enumerate(rows, start=1)
    ]


def vcf_text(lines: Sequence[Line], *, people: Sequence[str] = (), header: str = HEADER) -> str:
    """The text of a VCF; people are i1, i2, ... by default."""
    people = people or [f"i{i}" for i in range(1, len(lines[0].cells) + 1)]
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *people]
    rows = [
        [
            line.chromosome, str(line.position), line.identifier, line.reference, line.alternative,
            ".", line.filter, ".", line.format, *line.cells,
        ]
        for line in lines
    ]  # fmt: skip
    return header + "".join("\t".join(row) + "\n" for row in [columns, *rows])


def write_vcf(path: Path, lines: Sequence[Line], **others) -> Path:
    """Write a VCF of the kind that the ending says: .vcf, .vcf.gz (by bgzip's rules) or .bcf."""
    plain = path if path.name.endswith(".vcf") else path.with_name(path.name + ".plain.vcf")
    plain.write_text(vcf_text(lines, **others))
    if plain != path:
        import cyvcf2

        text = cyvcf2.VCF(str(plain))
        writer = cyvcf2.Writer(str(path), text, mode="wb" if path.name.endswith(".bcf") else "wz")
        writer.write_header()
        for record in text:
            writer.write_record(record)
        writer.close()
        plain.unlink()
    return path


def copies_by_hand(cell: str, allele: int) -> int:
    """Copies of an allele in a GT such as ``0|2``; -1 is missing."""
    alleles = cell.replace("|", "/").split("/")
    if "." in alleles:
        return -1
    copies = sum(text == str(allele) for text in alleles)
    return 2 * copies if len(alleles) == 1 else copies


def calls_by_hand(lines: Sequence[Line]) -> np.ndarray:
    """What GT says of each ALT allele of each record, shape (rows, people)."""
    return np.array(
        [
            [copies_by_hand(cell.split(":")[0], allele) for cell in line.cells]
            for line in lines
            for allele in range(1, len(line.alternative.split(",")) + 1)
        ],
        dtype=np.int8,
    )


def write_vcf_zarr(
    path: Path,
    lines: Sequence[Line],
    *,
    zarr_format: int = 3,
    chunks: tuple[int, int] = (4, 3),
    dosages: np.ndarray | None = None,
) -> Path:
    """Write records as a VCF Zarr store, array by array as its specification says (not by vcf2zarr)."""
    import zarr

    group = zarr.open_group(str(path), mode="w", zarr_format=zarr_format)
    group.attrs.update({"vcf_zarr_version": "0.4", "source": "henderson's tests"})
    contigs = ["1", "2", "X"]
    alleles = [[line.reference, *line.alternative.split(",")] for line in lines]
    most = max(map(len, alleles))

    def add(name, values, size=None):
        values = np.asarray(values)
        kind = str if values.dtype.kind == "U" else values.dtype
        # -1 as vcf2zarr has it; every chunk is written all the same.
        fill = {"U": "", "f": np.nan}.get(values.dtype.kind, -1)
        array = group.create_array(
            name,
            shape=values.shape,
            dtype=kind,
            chunks=size or values.shape,
            fill_value=fill,
            config={"write_empty_chunks": True},
        )
        array[...] = values

    add("sample_id", [f"i{i}" for i in range(1, len(lines[0].cells) + 1)])
    add("contig_id", contigs)
    add("variant_contig", np.array([contigs.index(line.chromosome) for line in lines], dtype=np.int8))
    add("variant_position", np.array([line.position for line in lines], dtype=np.int32))
    add("variant_id", [line.identifier for line in lines])
    add("variant_allele", [[*row, *[""] * (most - len(row))] for row in alleles])
    calls = np.array([[_padded(cell) for cell in line.cells] for line in lines], dtype=np.int8)
    add("call_genotype", calls, (*chunks, 2))
    if dosages is not None:
        add("call_DS", dosages.astype(np.float32), (*chunks, *dosages.shape[2:]))
    return path


def _padded(cell: str) -> list[int]:
    call = cell.partition(":")[0].replace("|", "/")
    alleles = [-1 if text == "." else int(text) for text in call.split("/")]
    return [*alleles, *[-2] * (2 - len(alleles))]
