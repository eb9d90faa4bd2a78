"""Answers over deployments: one plan, and what to change in it."""
