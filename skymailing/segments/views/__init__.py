"""Segment pages: the list, the segment, and its editor."""

from skymailing.segments.views import activity, editor, pages, removal
from skymailing.segments.views.blueprint import bp

__all__ = ["BLUEPRINTS", "activity", "editor", "pages", "removal"]

BLUEPRINTS = (bp,)
