"""Questions asked of a fit: tests, degrees of freedom, intervals, marginal means, diagnostics."""
