"""Genotypes: from letters to numbers."""

from henderson.genotype.coding import genotype_coding, standardise

__all__ = ["genotype_coding", "standardise"]
