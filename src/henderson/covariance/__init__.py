"""Structures of the covariance within a level, between levels and of the residuals."""

from henderson.covariance.coordinates import Coordinates
from henderson.covariance.factor_analytic import FactorAnalytic
from henderson.covariance.kernels import SpatialKernel
from henderson.covariance.matrix import RelationshipMatrix
from henderson.covariance.named import HasRelationship, NamedBlocks, NamedFactor, NamedPrecision
from henderson.covariance.patterned import Autoregressive, CompoundSymmetric, Diagonal
from henderson.covariance.relationship import (
    DenseRelationship,
    FactorRelationship,
    Identity,
    Precision,
    Relationship,
    SparseFactorRelationship,
)
from henderson.covariance.residual import ByUnit, Homogeneous, Residual
from henderson.covariance.structure import Covariance, Unstructured

__all__ = [
    "Autoregressive",
    "ByUnit",
    "CompoundSymmetric",
    "Coordinates",
    "Covariance",
    "DenseRelationship",
    "Diagonal",
    "FactorAnalytic",
    "FactorRelationship",
    "HasRelationship",
    "Homogeneous",
    "Identity",
    "NamedBlocks",
    "NamedFactor",
    "NamedPrecision",
    "Precision",
    "Relationship",
    "RelationshipMatrix",
    "Residual",
    "SparseFactorRelationship",
    "SpatialKernel",
    "Unstructured",
]
