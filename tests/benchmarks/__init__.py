"""Benchmarks: what a certificate costs, and what judging costs; ratios within one run."""
