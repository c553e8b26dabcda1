"""Structures of the covariance within a level, between levels and of the residuals."""

from henderson.covariance.relationship import (
    ByUnit,
    DenseRelationship,
    Homogeneous,
    Identity,
    Relationship,
    Residual,
    Stratified,
)
from henderson.covariance.structure import Covariance, Unstructured

__all__ = [
    "ByUnit",
    "Covariance",
    "DenseRelationship",
    "Homogeneous",
    "Identity",
    "Relationship",
    "Residual",
    "Stratified",
    "Unstructured",
]
