"""The `spectral` engine: one dense relationship matrix, one record per person."""

from henderson.engine.spectral.engine import SpectralEngine
from henderson.engine.spectral.spectrum import Spectrum
from henderson.engine.spectral.structure import obstacle

__all__ = ["SpectralEngine", "Spectrum", "obstacle"]
