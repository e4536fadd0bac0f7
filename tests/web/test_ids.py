"""Test IDs in URLs, queries and forms."""

import pytest
from flask.testing import FlaskClient

from skymailing.db.engine import LARGEST_BIG_ID, LARGEST_ID
from skymailing.models import User
from skymailing.web.ids import parse_big_id, read_id
from tests.support.factories import MessageFactory

HUGE = "9" * 30


@pytest.mark.parametrize("number", [HUGE, str(2**63), str(2**63 - 1), str(2**31)])
@pytest.mark.parametrize(
    ("section", "page"),
    [
        ("clients", "/edit"),
        ("clients/imports", ""),
        ("messages", ""),
        ("mailings", ""),
        ("mailings", "/log.csv"),
    ],
)
def test_an_id_too_large_in_a_url_returns_404(
    browser: FlaskClient, section: str, page: str, number: str
) -> None:
    assert browser.get(f"/{section}/{number}{page}").status_code == 404


@pytest.mark.parametrize("path", ["/blog/%00", "/mailings/1%00", "/auth/verify/%00", "/static/%00"])
def test_a_url_with_nul_returns_404(visitor: FlaskClient, path: str) -> None:
    assert visitor.get(path).status_code == 404


def test_an_id_too_large_in_a_query_or_form_finds_no_row(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user)

    assert browser.get(f"/messages/{message.id}?client={HUGE}").status_code == 200
    assert browser.post(f"/messages/{message.id}/test", data={"client": HUGE}).status_code == 302


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "+1", "1.0", " 1", "²", "٢", "x", None, HUGE, str(LARGEST_ID + 1)]
)
def test_anything_that_is_not_an_id_reads_as_zero(text: str | None) -> None:
    assert read_id(text) == 0


def test_ids_are_read_up_to_the_largest_key() -> None:
    assert read_id("7") == 7
    assert read_id(str(LARGEST_ID)) == LARGEST_ID
    assert read_id(str(LARGEST_BIG_ID), LARGEST_BIG_ID) == LARGEST_BIG_ID
    assert read_id(str(LARGEST_BIG_ID + 1), LARGEST_BIG_ID) == 0
    assert parse_big_id(str(LARGEST_BIG_ID)) == LARGEST_BIG_ID


@pytest.mark.parametrize("text", ["", "x", HUGE])
def test_an_invalid_big_id_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"invalid literal|too large"):
        parse_big_id(text)
