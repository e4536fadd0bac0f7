"""Provide the fixtures that start mailings, and a topic."""

from tests.delivery.conftest import new_worker, start, sweep

__all__ = ["new_worker", "start", "sweep"]
