"""What a fit says about rows: predictions with their errors, new responses, leverage and residuals."""
