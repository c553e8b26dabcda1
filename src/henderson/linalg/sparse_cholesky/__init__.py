"""Sparse Cholesky factors of symmetric positive definite matrices, and elements of their inverses."""

from henderson.linalg.sparse_cholesky.factor import Analysis, SparseCholesky, analyse

__all__ = ["Analysis", "SparseCholesky", "analyse"]
