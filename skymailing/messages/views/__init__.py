"""Message pages: the list, the editor and its drafts, and previews."""

from skymailing.messages.views import (
    blocks,
    editor,
    files,
    gallery,
    layouts,
    link_checks,
    messages,
    previews,
    test_letters,
)
from skymailing.messages.views.blueprint import bp

__all__ = [
    "BLUEPRINTS",
    "blocks",
    "editor",
    "files",
    "gallery",
    "layouts",
    "link_checks",
    "messages",
    "previews",
    "test_letters",
]

BLUEPRINTS = (bp,)
