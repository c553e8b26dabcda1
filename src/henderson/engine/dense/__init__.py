"""One or several dense relationship matrices: Cholesky factors, and average-information REML with them."""

from henderson.engine.dense.factor import Factor, Response, factor
from henderson.engine.dense.reml import KernelFit, reml

__all__ = ["Factor", "KernelFit", "Response", "factor", "reml"]
