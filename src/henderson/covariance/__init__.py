"""Structures of the covariance within a level, between levels and of the residuals."""

from henderson.covariance.relationship import (
    ByUnit,
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
    "FactorRelationship",
    "Homogeneous",
    "Identity",
    "OperatorRelationship",
    "Precision",
    "Relationship",
    "Residual",
    "Stratified",
    "Unstructured",
]
