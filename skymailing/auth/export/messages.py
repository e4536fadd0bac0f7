"""Read an account's messages, layouts, templates and saved blocks for the export."""

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import select

from skymailing.auth.export.rows import read_in_chunks, read_own, to_dict
from skymailing.models import Layout, LinkCheck, Message, MessageTemplate, Reviewer, SavedBlock


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


def read_reviewers(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the addresses that receive the user's test letters."""
    return read_own(Reviewer, user_id, "address", "confirmed_at")


def read_link_checks(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the checks of the links in the user's messages."""
    table = LinkCheck.__table__.c
    columns = [column for column in table if column.name != "owner_id"]
    return map(to_dict, read_in_chunks(select(*columns).where(table.owner_id == user_id), table.id))


FILES: tuple[tuple[str, Callable[[int], Iterator[dict[str, Any]]]], ...] = (
    ("messages.json", read_messages),
    ("saved-blocks.json", read_saved_blocks),
    ("message-templates.json", read_message_templates),
    ("layouts.json", read_layouts),
    ("link-checks.json", read_link_checks),
    ("test-addresses.json", read_reviewers),
)
