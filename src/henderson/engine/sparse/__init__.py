"""The `sparse` engine: pedigrees and block-diagonal relationships, beside grouping factors."""
