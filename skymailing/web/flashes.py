"""Flash messages that contain more than text."""

from typing import Any, cast

from flask import flash


def flash_undo(text: str, url: str) -> None:
    """Flash a message with an Undo button that posts to `url`."""
    # Flask's flash() accepts anything that a session can store, but is typed for text.
    flash(cast(Any, {"text": text, "undo": url}), "success")
