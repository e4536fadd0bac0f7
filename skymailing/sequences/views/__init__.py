"""The pages of sequences."""

from skymailing.sequences.views import pages, people, steps
from skymailing.sequences.views.blueprint import bp

__all__ = ["pages", "people", "steps"]

BLUEPRINTS = (bp,)
