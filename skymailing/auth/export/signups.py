"""Read an account's sign-up forms and the requests of visitors, for the export."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Table, select

from skymailing.auth.export.rows import cells, read_in_chunks, read_own
from skymailing.extensions import db
from skymailing.models import Signup, SignupForm, Tag, Topic, form_tags, form_topics

TEXTS = ("title", "introduction", "button", "consent_text", "thanks_text", "thanks_url")
TRACKING = ("asks_tracking", "tracking_text")
LETTER = ("confirm_subject", "confirm_body", "sender_id")


def read_forms(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the user's sign-up forms with their tags and topics."""
    tags = _read_names(user_id, form_tags, "tag_id", Tag)
    topics = _read_names(user_id, form_topics, "topic_id", Topic)
    names = ("uuid", "name", "is_open", "language", "fields", *TEXTS, *TRACKING, *LETTER)
    for form in read_own(SignupForm, user_id, *names):
        yield form | {"tags": tags.get(form["id"], []), "topics": topics.get(form["id"], [])}


def _read_names(
    user_id: int, link: Table, column: str, model: type[Tag] | type[Topic]
) -> dict[int, list[str]]:
    """Return the names of the tags or topics that each form adds, by the ID of the form."""
    rows = db.session.execute(
        select(link.c.form_id, model.name)
        .join(model, model.id == link.c[column])
        .where(model.owner_id == user_id)
        .order_by(model.name_key)
    ).tuples()
    names: dict[int, list[str]] = {}
    for form_id, name in rows:
        names.setdefault(form_id, []).append(name)
    db.session.rollback()
    return names


def read_signups(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield the requests to subscribe that are still stored."""
    yield ("form_id", "email", "values", "requested_at", "ip", "browser", "confirmed_at", "allows_tracking")
    columns = (Signup.form_id, Signup.email, Signup.values, Signup.requested_at, Signup.ip, Signup.agent)
    answers = (Signup.confirmed_at, Signup.tracking_text_id.is_not(None))
    statement = select(Signup.id, *columns, *answers).where(Signup.owner_id == user_id)
    for row in read_in_chunks(statement, Signup.__table__.c.id):
        form_id, email, values, *rest = cells(row)
        yield (form_id, email, json.dumps(values, ensure_ascii=False), *rest)
