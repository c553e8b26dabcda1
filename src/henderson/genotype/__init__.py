"""Genotypes: letters as numbers, people and variants, and what every file format is read as."""

from henderson.genotype.blocks import (
    VariantBlock,
    count_variants,
    impute,
    standardise_block,
    variant_filter,
)
from henderson.genotype.coding import genotype_coding, standardise
from henderson.genotype.counts import VariantCounts
from henderson.genotype.operator import GenotypeOperator
from henderson.genotype.source import MISSING, ArraySource, GenotypeSource, Samples, Variants

__all__ = [
    "MISSING",
    "ArraySource",
    "GenotypeOperator",
    "GenotypeSource",
    "Samples",
    "VariantBlock",
    "VariantCounts",
    "Variants",
    "count_variants",
    "genotype_coding",
    "impute",
    "standardise",
    "standardise_block",
    "variant_filter",
]
