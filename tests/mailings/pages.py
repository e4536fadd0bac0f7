"""Helpers for page tests."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bs4 import BeautifulSoup, Tag
from werkzeug.test import TestResponse

from skymailing.clock import utcnow
from skymailing.models import Message


def soup(response: TestResponse) -> BeautifulSoup:
    return BeautifulSoup(response.text, "html.parser")


def main(response: TestResponse) -> str:
    """Return the text of a page's main part, with single spaces."""
    part = soup(response).find("main")
    assert isinstance(part, Tag)
    return " ".join(part.get_text(" ").split())


def error_beside(response: TestResponse, field: str) -> str:
    """Return the error shown beside a field; empty if there is none."""
    note = soup(response).find(id=f"{field}-error")
    return " ".join(note.get_text(" ").split()) if note else ""


def value_of(response: TestResponse, field: str) -> str:
    tag = soup(response).select_one(f'[name="{field}"]')
    assert isinstance(tag, Tag), field
    if tag.name == "select":
        chosen = tag.find("option", selected=True)
        return str(chosen["value"]) if isinstance(chosen, Tag) else ""
    return str(tag.get("value", ""))


def local(moment: datetime, zone: str = "UTC") -> str:
    """Return a moment as a browser sends it."""
    return moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M")


def mailing_fields(message: Message, **changes: Any) -> dict[str, Any]:
    """Return valid form fields: for all clients, starting at once, for a day."""
    return {
        "name": "Осенние скидки",
        "message": str(message.id),
        "audience": "all",
        "starts_at": "",
        "ends_at": local(utcnow() + timedelta(days=1)),
        "periodicity": "once",
        "on_unknown": "resend",
    } | changes


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
