"""Bayesian inversion: covariances, solver, posterior, totals with their budget, diagnostics."""
