"""Message pages: the list, the editor and its drafts, and previews."""

from skymailing.messages.views import blocks, editor, files, gallery, layouts, messages, previews
from skymailing.messages.views.blueprint import bp

__all__ = ["BLUEPRINTS", "blocks", "editor", "files", "gallery", "layouts", "messages", "previews"]

BLUEPRINTS = (bp,)
