"""Benchmarks: figures and ratios between pipelines that do the same work in the same run."""
