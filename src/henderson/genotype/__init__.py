"""Genotypes: letters as numbers, people and variants, and what every file format is read as."""

from henderson.genotype.blocks import (
    VariantBlock,
    count_variants,
    impute,
    standardise_block,
    variant_filter,
)
from henderson.genotype.chromosomes import Kind, chromosome_kinds
from henderson.genotype.coding import genotype_coding, standardise
from henderson.genotype.counts import VariantCounts
from henderson.genotype.hwe import hwe_p_values
from henderson.genotype.operator import GenotypeOperator
from henderson.genotype.ploidy import sex_aware
from henderson.genotype.selection import select
from henderson.genotype.source import MISSING, ArraySource, GenotypeSource, Samples, Variants

__all__ = [
    "MISSING",
    "ArraySource",
    "GenotypeOperator",
    "GenotypeSource",
    "Kind",
    "Samples",
    "VariantBlock",
    "VariantCounts",
    "Variants",
    "chromosome_kinds",
    "count_variants",
    "genotype_coding",
    "hwe_p_values",
    "impute",
    "select",
    "sex_aware",
    "standardise",
    "standardise_block",
    "variant_filter",
]
