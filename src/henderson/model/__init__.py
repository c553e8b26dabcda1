"""The mixed model as plain, frozen arrays."""

from henderson.model.mixed_model import MixedModel, ModelShape, RandomTerm, SharesTheta

__all__ = ["MixedModel", "ModelShape", "RandomTerm", "SharesTheta"]
