"""Flash messages that carry more than words."""

from typing import Any, cast

from flask import flash


def flash_undo(text: str, url: str) -> None:
    """Say what was done, with a button that posts to `url` and takes it back."""
    # Flask's flash() takes whatever a session can carry, though its types name text alone.
    flash(cast(Any, {"text": text, "undo": url}), "success")
