"""Parametric bootstrap: responses drawn from a fit, and the model fitted to each."""

from henderson.inference.bootstrap.run import Bootstrap, Method, bootstrap

__all__ = ["Bootstrap", "Method", "bootstrap"]
