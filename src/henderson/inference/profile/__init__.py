"""Profile likelihood: how the deviance rises as one parameter is moved and all others follow."""

from henderson.inference.profile.curve import Curve, Profile
from henderson.inference.profile.run import Which, profile

__all__ = ["Curve", "Profile", "Which", "profile"]
