"""Benchmarks: the engines alone, and the whole service beside them. Each command prints Markdown tables."""
