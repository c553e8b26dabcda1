"""Questions about variants, asked of mixed models."""

from henderson.association.per_variant import lmer_variants

__all__ = ["lmer_variants"]
