"""Structures of the covariance within a level, between levels and of the residuals."""

from henderson.covariance.matrix import RelationshipMatrix
from henderson.covariance.relationship import (
    ByUnit,
    DenseRelationship,
    FactorRelationship,
    Homogeneous,
    Identity,
    OperatorRelationship,
    Precision,
    Relationship,
    Residual,
    Stratified,
)
from henderson.covariance.structure import Covariance, Unstructured

__all__ = [
    "ByUnit",
    "Covariance",
    "DenseRelationship",
    "FactorRelationship",
    "Homogeneous",
    "Identity",
    "OperatorRelationship",
    "Precision",
    "Relationship",
    "RelationshipMatrix",
    "Residual",
    "Stratified",
    "Unstructured",
]
