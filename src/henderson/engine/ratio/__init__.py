"""Models with one variance ratio, V = I + lambda K: thousands of fits at once, each exact."""
