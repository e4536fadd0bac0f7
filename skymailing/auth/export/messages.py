"""Read an account's messages, layouts, templates and saved blocks for the export."""

from collections.abc import Iterator
from typing import Any

from skymailing.auth.export.rows import read_own
from skymailing.models import Layout, Message, MessageTemplate, SavedBlock


def read_messages(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the user's messages."""
    source = ("source_format", "source", "source_version", "version", "layout_id")
    return read_own(Message, user_id, "subject", "preheader", "format", "body", "language", *source)


def read_message_templates(user_id: int) -> Iterator[dict[str, Any]]:
    """Return the messages that the user has saved as templates."""
    source = ("source_format", "source", "layout_id")
    return read_own(
        MessageTemplate, user_id, "name", "subject", "preheader", "language", "format", "body", *source
    )


def read_saved_blocks(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the user's saved blocks."""
    return read_own(SavedBlock, user_id, "name", "block")


def read_layouts(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the user's layouts."""
    return read_own(Layout, user_id, "name", "format", "body", "is_default")
