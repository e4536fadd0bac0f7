"""Test the page of a client: values, tags, letters, and why the client got them."""

from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import update
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.audience.parts import read_parts
from skymailing.delivery.audience.recipients import describe_audience
from skymailing.models import (
    Audience,
    Client,
    DeliveryState,
    Mailing,
    MailingAudience,
    Segment,
    SuppressionReason,
    Tag,
    User,
)
from tests.clients.test_tags import add_tags, use_tag
from tests.support.factories import (
    ClientFactory,
    DeliveryFactory,
    MailingFactory,
    RunFactory,
    SuppressionFactory,
)

pytestmark = pytest.mark.one_engine


def send(mailing: Mailing, client: Client, state: DeliveryState = DeliveryState.SENT, **values: Any) -> None:
    audience = describe_audience(mailing, read_parts(mailing))
    run = RunFactory.create(mailing=mailing, **{"audience": audience} | values)
    DeliveryFactory.create(run=run, client=client, state=state, finished_at=utcnow())


def read_letters(page: str) -> dict[str, str]:
    """Return the text of each letter's event, by mailing name."""
    rows = BeautifulSoup(page, "html.parser").select("[data-kind=letter]")
    return {row.select("a")[0].text: " ".join(row.get_text(" ").split()) for row in rows}


def test_the_page_shows_what_is_known_about_a_client(
    browser: FlaskClient, user: User, session: Session
) -> None:
    client = ClientFactory.create(
        owner=user,
        email="anna@x.com",
        full_name="Anna <b>",
        comment="met twice",
        attributes={"city": "Омск", "empty": ""},
    )
    url = f"/clients/{client.id}"
    page = browser.get(url).text
    for text in ("anna@x.com", "Anna &lt;b&gt;", "met twice", "Омск", "receives your mailings"):
        assert text in page
    assert "empty" not in page
    assert read_letters(page) == {}
    assert browser.get("/clients/").text.count(f'href="{url}"') == 1

    browser.post(f"{url}/edit", data={"email": "anna@x.com", "tags": "vip"})
    SuppressionFactory.create(owner_id=user.id, email_key="anna@x.com", reason=SuppressionReason.UNSUBSCRIBED)
    page = browser.get(url).text
    assert [link.text for link in BeautifulSoup(page, "html.parser").select("a.tag-label")] == ["vip"]
    assert "has unsubscribed" in page


def make_mailings(session: Session, user: User) -> dict[str, Mailing]:
    """Create mailings to all kinds of audiences, with a segment and two tags, which are renamed later."""
    kinds = {"chosen": Audience.SELECTED, "loyal": Audience.SEGMENTS}
    mailings = {
        name: MailingFactory.create(owner=user, name=name, audience=kinds.get(name, Audience.ALL))
        for name in ("everyone", "all but", "chosen", "loyal", "old", "strange")
    }
    tags = add_tags(session, user, {"vip": "", "wholesale": ""})
    conditions = {"field": "tag", "op": "is", "value": "vip"}
    segment = Segment(owner_id=user.id, name="Omsk <i>", conditions=conditions)
    session.add(segment)
    session.flush()
    use_tag(session, mailings["all but"], tags["wholesale"], is_excluded=True)
    use_tag(session, mailings["loyal"], tags["vip"])
    use_tag(session, mailings["loyal"], tags["wholesale"], is_excluded=True)
    included = MailingAudience(mailing_id=mailings["loyal"].id, position=9, is_excluded=False)
    included.segment_id = segment.id
    session.add(included)
    session.flush()
    return mailings


def test_the_page_explains_why_each_letter_was_sent(
    browser: FlaskClient, user: User, session: Session
) -> None:
    client = ClientFactory.create(owner=user)
    mailings = make_mailings(session, user)
    values: dict[str, Any] = {"old": {"audience": None}, "strange": {"audience": {"audience": "x"}}}
    for name, mailing in mailings.items():
        state = DeliveryState.FAILED if name == "chosen" else DeliveryState.SENT
        send(mailing, client, state, **values.get(name, {}))
    send(MailingFactory.create(owner=user, name="another's"), ClientFactory.create(owner=user))
    session.execute(update(Tag).values(name="renamed"))
    session.execute(update(Segment).values(name="renamed"))

    letters = read_letters(browser.get(f"/clients/{client.id}").text)
    assert list(letters) == list(reversed(mailings))
    assert "The mailing was for all clients." in letters["everyone"]
    assert "none of" not in letters["everyone"]
    assert (
        "all clients. The client matched none of the excluded segments and tags: “wholesale”"
        in letters["all but"]
    )
    assert "You selected this client" in letters["chosen"]
    assert "not delivered" in letters["chosen"]
    assert "at least one of these segments and tags: “vip”, “Omsk <i>”" in letters["loyal"]
    assert "none of the excluded segments and tags: “wholesale”" in letters["loyal"]
    assert "Conditions of “Omsk <i>” at that time:" in letters["loyal"]
    for name in ("old", "strange"):
        assert "Not recorded" in letters[name]
        assert "all clients" not in letters[name]
