"""Pedigrees: inbreeding, the sparse inverse of the relationship matrix, and what is built on them."""

from henderson.covariance.pedigree.groups import GeneticGroups
from henderson.covariance.pedigree.pedigree import Pedigree
from henderson.covariance.pedigree.precision import PedigreePrecision
from henderson.covariance.pedigree.single_step import single_step

__all__ = ["GeneticGroups", "Pedigree", "PedigreePrecision", "single_step"]
