"""The mixed model as plain, frozen arrays."""

from henderson.model.mixed_model import MixedModel, RandomTerm

__all__ = ["MixedModel", "RandomTerm"]
