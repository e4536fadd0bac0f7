"""Read mailing pages and fill in the form."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from bs4 import BeautifulSoup, Tag
from werkzeug.test import TestResponse

from skymailing.clock import utcnow
from skymailing.models import Message


def soup(response: TestResponse) -> BeautifulSoup:
    """Return the parsed page, which must not be changed: the next call may return it again."""
    return _parse(response.text)


@lru_cache(maxsize=4)  # parsing, often of the same page, took a sixth of these tests' time
def _parse(page: str) -> BeautifulSoup:
    # Places where a long word may break would split its text.
    return BeautifulSoup(page.replace("<wbr>", ""), "html.parser")


def get_main_text(response: TestResponse) -> str:
    """Return the text of a page's main element, with collapsed white space."""
    element = soup(response).find("main")
    assert isinstance(element, Tag)
    return " ".join(element.get_text(" ").split())


def get_field_error(response: TestResponse, field: str) -> str:
    """Return the error shown next to a field; empty if there is none."""
    error = soup(response).find(id=f"{field}-error")
    return " ".join(error.get_text(" ").split()) if error else ""


def get_value(response: TestResponse, field: str) -> str:
    tag = soup(response).select_one(f'[name="{field}"]')
    assert isinstance(tag, Tag), field
    if tag.name == "select":
        chosen = tag.find("option", selected=True)
        return str(chosen["value"]) if isinstance(chosen, Tag) else ""
    return str(tag.get("value", ""))


def format_local(at: datetime, zone: str = "UTC") -> str:
    """Format a time as a browser sends it."""
    return at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M")


def mailing_fields(message: Message, **changes: Any) -> dict[str, Any]:
    """Return valid form fields for a mailing to all clients that starts immediately and ends in a day."""
    return {
        "name": "Осенние скидки",
        "message": str(message.id),
        "audience": "all",
        "starts_at": "",
        "ends_at": format_local(utcnow() + timedelta(days=1)),
        "periodicity": "once",
        "on_unknown": "resend",
    } | changes


def utc_time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
