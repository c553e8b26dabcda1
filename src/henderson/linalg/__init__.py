"""Numerical kernels on plain arrays."""
