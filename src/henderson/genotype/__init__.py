"""Genotypes: letters as numbers, people and variants, and what every file format is read as."""

from henderson.genotype.coding import genotype_coding, standardise
from henderson.genotype.source import MISSING, GenotypeSource, Samples, Variants

__all__ = ["MISSING", "GenotypeSource", "Samples", "Variants", "genotype_coding", "standardise"]
