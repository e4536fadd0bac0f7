"""Test test letters: their recipients, their text, and the result that their authors see."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.messages import reviewers
from skymailing.models import (
    LetterState,
    OutboxLetter,
    Reviewer,
    SuppressionReason,
    UsageHour,
    UsageKind,
    User,
)
from tests.conftest import SetLimits, SignIn
from tests.delivery.ledger import get_accepted
from tests.support.factories import ClientFactory, MessageFactory, SuppressionFactory, UserFactory
from tests.support.servers import SmtpServer

Work = Callable[[], None]
COLLEAGUE = "colleague@shop.example"
TYPED = {"subject": "Typed, {{ name }}", "format": "text", "body": "Not saved", "language": "en"}


def add_reviewer(session: Session, owner: User, address: str = COLLEAGUE, *, agreed: bool = True) -> Reviewer:
    confirmed_at = utcnow() if agreed else None
    reviewer = Reviewer(owner_id=owner.id, address=address, address_key=address, confirmed_at=confirmed_at)
    session.add(reviewer)
    session.commit()
    return reviewer


def read_link(smtp: SmtpServer) -> str:
    found = re.search(r"http://sky.example(/messages/test-emails/confirm/\S+)", smtp.letters[-1].text)
    assert found is not None
    return found[1]


def list_recipients(smtp: SmtpServer) -> list[str]:
    return sorted(letter.to for letter in smtp.letters)


def test_a_reader_gets_test_letters_after_agreeing_and_can_stop_them(
    browser: FlaskClient, user: User, session: Session, visitor: FlaskClient, smtp: SmtpServer, work: Work
) -> None:
    message = MessageFactory.create(owner=user, subject="Sale")
    browser.post("/messages/test-emails", data={"address": COLLEAGUE})
    work()
    assert list_recipients(smtp) == [COLLEAGUE]
    assert user.email in smtp.letters[0].text
    page = f"/messages/{message.id}"
    assert COLLEAGUE not in browser.get(page).text
    browser.post(f"{page}/test", data={"to": COLLEAGUE})
    assert "has not agreed" in browser.get(page).text

    link = read_link(smtp)
    assert "Allow" in visitor.get(link).text
    assert session.scalars(select(Reviewer.confirmed_at)).one() is None, "mail scanners open links, too"
    assert "Stop test emails" in visitor.post(link, data={"allow": "1"}).text
    assert COLLEAGUE in browser.get(page).text
    response = browser.post(f"{page}/test", data={"to": [user.email, COLLEAGUE]}, follow_redirects=True)
    assert "2 test emails sent." in response.text
    work()
    assert list_recipients(smtp)[-2:] == sorted([COLLEAGUE, user.email])[-2:]
    assert str(smtp.letters[-1].parsed["Subject"]) == "[Test] Sale"

    with time_machine.travel(utcnow() + timedelta(days=60)):
        assert "No more test emails" in visitor.post(link, data={"stop": "1"}).text
    session.expire_all()
    assert session.scalars(select(Reviewer)).all() == []
    assert visitor.get(link).status_code == 410


def test_the_confirmation_link_expires_and_its_letters_are_limited(
    browser: FlaskClient, user: User, session: Session, visitor: FlaskClient, smtp: SmtpServer, work: Work
) -> None:
    browser.post("/messages/test-emails", data={"address": COLLEAGUE})
    reviewer = session.scalars(select(Reviewer)).one()
    work()
    link = read_link(smtp)
    for _ in range(reviewers.LETTERS_PER_ADDRESS):
        browser.post(f"/messages/test-emails/{reviewer.id}/resend")
    work()
    assert len(smtp.letters) == reviewers.LETTERS_PER_ADDRESS
    with time_machine.travel(utcnow() + timedelta(hours=25)):
        assert "expired" in visitor.get(link).text
        assert visitor.post(link, data={"allow": "1"}).status_code == 410


def test_the_links_to_strangers_are_limited_per_account(browser: FlaskClient, session: Session) -> None:
    for number in range(reviewers.LETTERS_PER_OWNER + 2):
        browser.post("/messages/test-emails", data={"address": f"a{number}@shop.example"})
    assert len(session.scalars(select(OutboxLetter)).all()) == reviewers.LETTERS_PER_OWNER
    assert len(session.scalars(select(Reviewer)).all()) == reviewers.LETTERS_PER_OWNER


@pytest.mark.parametrize("address", ["not an address", ""])
def test_an_invalid_address_is_refused(browser: FlaskClient, session: Session, address: str) -> None:
    assert "is-invalid" in browser.post("/messages/test-emails", data={"address": address}).text
    assert session.scalars(select(Reviewer)).all() == []


def test_suppressed_addresses_get_neither_a_link_nor_tests(
    browser: FlaskClient, user: User, session: Session, smtp: SmtpServer, work: Work
) -> None:
    message = MessageFactory.create(owner=user)
    add_reviewer(session, user)
    browser.post(f"/messages/{message.id}/test", data={"to": COLLEAGUE})
    SuppressionFactory.create(owner_id=user.id, email_key=COLLEAGUE, reason=SuppressionReason.COMPLAINED)
    session.commit()
    work()
    assert smtp.letters == []
    page = browser.get(f"/messages/{message.id}").text
    assert "This address no longer gets test emails." in page
    assert f'value="{COLLEAGUE}"' not in page
    SuppressionFactory.create(owner_id=user.id, email_key="other@shop.example")
    session.commit()
    page = browser.post("/messages/test-emails", data={"address": "other@shop.example"}).text
    assert "the person unsubscribed, or the address does not exist" in page


def test_reviewers_of_another_owner_cannot_be_used(
    browser: FlaskClient, session: Session, user: User
) -> None:
    message = MessageFactory.create(owner=user)
    add_reviewer(session, UserFactory.create())
    browser.post(f"/messages/{message.id}/test", data={"to": COLLEAGUE})
    assert session.scalars(select(OutboxLetter)).all() == []


def test_the_typed_text_is_sent_and_then_deleted(
    browser: FlaskClient, user: User, session: Session, smtp: SmtpServer, work: Work
) -> None:
    message = MessageFactory.create(owner=user, subject="Saved", body="Saved")
    client = ClientFactory.create(owner=user, full_name="Ann")
    fields = {**TYPED, "message_id": message.id, "client": client.id, "as_json": "1"}
    result = browser.post("/messages/test", data=fields).get_json()
    assert result == {"text": f"Test email sent to {user.email}.", "problem": ""}
    assert "Not saved" in str(session.scalars(select(OutboxLetter.content)).one())
    work()
    (letter,) = smtp.letters
    assert (str(letter.parsed["Subject"]), "Not saved" in letter.text) == ("[Test] Typed, Ann", True)
    session.expire_all()
    sent = session.scalars(select(OutboxLetter)).one()
    assert (sent.state, sent.content) == (LetterState.SENT, None)
    assert sent.answer.startswith("250 ")
    assert f"reply: {sent.answer}" in " ".join(browser.get(f"/messages/{message.id}").text.split())
    assert message.body == "Saved"


def test_a_new_message_is_tested_before_it_is_saved(
    browser: FlaskClient, user: User, smtp: SmtpServer, work: Work
) -> None:
    page = browser.post("/messages/test", data=TYPED).text
    assert f"Test email sent to {user.email}." in page
    work()
    assert "Not saved" in smtp.letters[0].text
    assert user.email in browser.get("/messages/test-emails").text


def test_a_text_that_cannot_be_read_is_not_sent(browser: FlaskClient, session: Session) -> None:
    result = browser.post("/messages/test", data={**TYPED, "body": "{{ name", "as_json": "1"}).get_json()
    assert result["problem"]
    assert session.scalars(select(OutboxLetter)).all() == []


def test_one_test_has_few_recipients(browser: FlaskClient, user: User, session: Session) -> None:
    addresses = [f"a{number}@shop.example" for number in range(reviewers.MAX_RECIPIENTS + 1)]
    for address in addresses:
        add_reviewer(session, user, address)
    result = browser.post("/messages/test", data={**TYPED, "to": addresses, "as_json": "1"}).get_json()
    assert result["problem"] == "Choose up to 5 addresses."
    assert session.scalars(select(OutboxLetter)).all() == []


def test_test_letters_count_towards_the_limits_of_letters_but_not_as_accepted(
    browser: FlaskClient, user: User, session: Session, set_limits: SetLimits, smtp: SmtpServer, work: Work
) -> None:
    set_limits(letters_per_day=2)
    message = MessageFactory.create(owner=user)
    for _ in range(3):
        browser.post(f"/messages/{message.id}/test")
    assert len(session.scalars(select(OutboxLetter)).all()) == 2
    used = session.scalars(select(UsageHour.count).where(UsageHour.kind == UsageKind.LETTERS)).one()
    assert used == 2
    assert "limit of 2 emails" in browser.get(f"/messages/{message.id}").text
    work()
    assert len(smtp.letters) == 2
    assert get_accepted(session, user.id) == 0


def test_a_russian_author_gets_a_russian_prefix(sign_in: SignIn, smtp: SmtpServer, work: Work) -> None:
    owner = UserFactory.create(locale="ru")
    sign_in(owner).post(f"/messages/{MessageFactory.create(owner=owner, subject='Скидки').id}/test")
    work()
    assert str(smtp.letters[0].parsed["Subject"]) == "[Тест] Скидки"
