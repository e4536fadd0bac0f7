"""Benchmarks that anyone can repeat; see README.md."""
