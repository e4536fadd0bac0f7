"""Read an account's sign-up forms and the requests of visitors, for the export."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select

from skymailing.auth.export_rows import cells, read_in_chunks, read_own
from skymailing.extensions import db
from skymailing.models import Signup, SignupForm, Tag, form_tags

TEXTS = ("title", "introduction", "button", "consent_text", "thanks_text", "thanks_url")
LETTER = ("confirm_subject", "confirm_body", "sender_id")


def read_forms(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the user's sign-up forms with their tags."""
    tags = _read_tags(user_id)
    names = ("uuid", "name", "is_open", "language", "fields", *TEXTS, *LETTER)
    for form in read_own(SignupForm, user_id, *names):
        yield form | {"tags": tags.get(form["id"], [])}


def _read_tags(user_id: int) -> dict[int, list[str]]:
    """Return the names of the tags that each form gives, by the ID of the form."""
    rows = db.session.execute(
        select(form_tags.c.form_id, Tag.name)
        .join(Tag, Tag.id == form_tags.c.tag_id)
        .where(Tag.owner_id == user_id)
        .order_by(Tag.name_key)
    ).tuples()
    tags: dict[int, list[str]] = {}
    for form_id, name in rows:
        tags.setdefault(form_id, []).append(name)
    db.session.rollback()
    return tags


def read_signups(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield the requests to subscribe that are still stored."""
    yield ("form_id", "email", "values", "requested_at", "ip", "browser", "confirmed_at")
    columns = (Signup.form_id, Signup.email, Signup.values, Signup.requested_at, Signup.ip, Signup.agent)
    own = select(Signup.id, *columns, Signup.confirmed_at).where(Signup.owner_id == user_id)
    for row in read_in_chunks(own, Signup.__table__.c.id):
        form_id, email, values, *rest = cells(row)
        yield (form_id, email, json.dumps(values, ensure_ascii=False), *rest)
