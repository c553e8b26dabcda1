"""The `spectral` engine: one dense relationship matrix, one record per person."""
