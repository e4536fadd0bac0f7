"""Test the pages of segments: the list, a segment, its editor and the preview."""

import json
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from skymailing.db import pagination
from skymailing.models import Client, MailingAudience, MailingState, Segment, Tag, User, client_tags
from skymailing.segments.views import pages
from tests.segments.pages import NOT_WHOLESALE, OMSK, find_addresses, find_sentences, preview, save
from tests.support.factories import MailingFactory, UserFactory, create_clients
from tests.support.signup_factories import TopicFactory

pytestmark = pytest.mark.one_engine

WITHOUT_GONE = {"all": [OMSK, {"field": "tag", "op": "is_not", "value": "gone"}]}


def add_segment(session: Session, owner: User, name: str, conditions: Any) -> Segment:
    segment = Segment(owner_id=owner.id, name=name, conditions=conditions)
    session.add(segment)
    session.flush()
    return segment


def list_rows(page: str) -> list[list[str]]:
    rows = BeautifulSoup(page, "html.parser").select("tbody tr")
    return [[" ".join(cell.get_text(" ").split()) for cell in row.select("td")[:3]] for row in rows]


def read_vocabulary(page: str) -> dict[str, Any]:
    form = BeautifulSoup(page, "html.parser").select_one("#segment-form")
    assert form is not None
    vocabulary: dict[str, Any] = json.loads(str(form["data-vocabulary"]))
    return vocabulary


def test_the_list_shows_counts_uses_and_broken_segments(
    browser: FlaskClient, session: Session, user: User, shop: dict[str, Client]
) -> None:
    assert "No segments yet" in browser.get("/segments/").text
    segment = add_segment(session, user, "From Omsk", OMSK)
    add_segment(session, user, "Broken", WITHOUT_GONE)
    add_segment(session, UserFactory.create(), "Not mine", OMSK)
    for number in range(5):
        mailing = MailingFactory.create(owner=user, name=f"Mailing {number}", state=MailingState.PAUSED)
        for position in (0, 1):  # in both lists
            use = {"mailing_id": mailing.id, "segment_id": segment.id, "is_excluded": bool(position)}
            session.execute(insert(MailingAudience).values(position=position, **use))

    page = browser.get("/segments/").text

    assert list_rows(page) == [
        ["Broken The tag “gone” does not exist or has been deleted.", "", "–"],
        ["From Omsk", "2", "Mailing 4 , Mailing 3 , Mailing 2 and 2 more"],
    ]


def test_the_list_stays_fast_with_slow_segments(
    browser: FlaskClient, session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "COUNTING_SECONDS", -1.0)
    for number in range(25):
        add_segment(session, user, f"Segment {number:02}", OMSK | {"field": "full_name"})
    page = browser.get("/segments/").text
    assert [row[1] for row in list_rows(page)] == ["—"] * 20
    (link,) = BeautifulSoup(page, "html.parser").select(".pager a")
    assert [row[0] for row in list_rows(browser.get(str(link["href"])).text)] == [
        f"Segment {number}" for number in range(20, 25)
    ]


def test_a_segment_shows_which_clients_it_finds(
    browser: FlaskClient, session: Session, user: User, shop: dict[str, Client]
) -> None:
    segment = add_segment(session, user, "From Omsk", OMSK)
    page = browser.get(f"/segments/{segment.id}").text
    assert find_sentences(page) == ["City is Omsk"]
    assert find_addresses(page) == {"anna@example.org", "clara@example.org"}
    assert "2 of 4 clients" in page
    assert "1 of them gets no mailings" in page
    assert "No mailing uses this segment yet." in page


def test_a_broken_segment_shows_the_reason_and_marks_the_condition(
    browser: FlaskClient, session: Session, user: User, shop: dict[str, Client]
) -> None:
    segment = add_segment(session, user, "Not wholesale", {"all": [OMSK, NOT_WHOLESALE]})
    session.execute(delete(client_tags))
    session.execute(delete(Tag))

    page = browser.get(f"/segments/{segment.id}").text
    (marked,) = BeautifulSoup(page, "html.parser").select(".is-wrong")
    assert marked.text == "Tag is not wholesale"
    assert "The tag “wholesale” does not exist or has been deleted." in page
    assert find_addresses(page) == set()
    edit = browser.get(f"/segments/{segment.id}/edit").text
    assert 'data-wrong="2"' in edit
    assert "The tag “wholesale” does not exist or has been deleted." in edit
    assert "Not saved" not in edit

    # The type of a field no longer fits: the condition cannot be described.
    segment.conditions = {"field": "attribute.orders", "op": "gt", "value": 3}
    user.attribute_types = {"orders": "text"}
    session.flush()
    for path in (f"/segments/{segment.id}", f"/segments/{segment.id}/edit", "/segments/"):
        page = browser.get(path).text
        assert "This comparison does not fit the type of the field." in page
    assert "The conditions no longer fit" in browser.get(f"/segments/{segment.id}").text


def test_rejected_conditions_remain_in_the_form(
    browser: FlaskClient, session: Session, shop: dict[str, Client]
) -> None:
    conditions = {"all": [OMSK, {"field": "attribute.orders", "op": "gt", "value": "many"}]}
    page = save(browser, conditions, "Orders")
    assert page.status_code == 200
    assert "Enter a number." in page.text
    form = BeautifulSoup(page.text, "html.parser").select_one("#segment-form")
    assert form is not None
    assert form["data-wrong"] == "2"
    written = form.select_one("textarea")
    assert written is not None
    assert json.loads(written.text) == conditions
    assert session.scalars(select(Segment)).all() == []
    assert "Enter a name." in save(browser, OMSK, " ").text
    assert "Add at least one condition." in browser.post("/segments/new", data={"name": "Empty"}).text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Add at least one condition."),
        ("{", "The conditions cannot be read."),
        ("[" * 50_000, "The conditions cannot be read."),
        ('{"all": ' * 9_000, "The conditions cannot be read."),
        ("1" * 5_000, "The conditions cannot be read."),
        ("null", "The conditions cannot be read."),
        ('{"all": []}', "Add at least one condition."),
        ('{"field": "\\ud800\\u0000", "op": "is"}', "There is no field “”."),
        (
            '{"field": "tag", "op": "is", "value": "\\ud800x"}',
            "The tag “x” does not exist",
        ),
        ('{"field": "attribute.orders", "op": "gt", "value": NaN}', "Enter a number."),
        (
            '{"field": "mailing", "op": "received", "value": 9}',
            "The mailing does not exist",
        ),
        ('{"field": "attribute.height", "op": "is_set"}', "None of your clients has the field “height”."),
        (
            '{"field": "email", "op": "is", "value": "' + "x" * 100_000 + '"}',
            "The conditions cannot be read.",
        ),
    ],
)
def test_the_preview_explains_errors(
    browser: FlaskClient, shop: dict[str, Client], text: str, problem: str
) -> None:
    (shown,) = preview(browser, text).select(".flash-danger")
    assert problem in shown.text


def test_the_preview_counts_and_shows_the_newest_clients(
    browser: FlaskClient, user: User, shop: dict[str, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    create_clients(user, 12)
    everyone = {"field": "email", "op": "is_set"}
    page = preview(browser, everyone)
    assert "16 of 16 clients" in page.text
    assert "1 of them gets no mailings" in page.text
    assert "These are the 10 newest clients." in page.text
    assert len(page.select("li")) == 10
    link = page.select_one(".reach-clients a")
    assert link
    assert browser.get(str(link["href"])).status_code == 200
    assert not str(link["href"]).endswith("/edit")
    nothing = preview(browser, {"field": "email", "op": "equals", "value": "%"})
    assert "0 of 16 clients" in nothing.text
    assert "No client matches now." in nothing.text
    wrong = preview(browser, {"any": [OMSK, {"field": "tag", "op": "is", "value": "gone"}]})
    assert wrong.select("[data-number='2']")


def test_large_segments_are_not_counted_to_the_end(
    browser: FlaskClient, user: User, shop: dict[str, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pagination.count_up_to, "__defaults__", (3,))
    monkeypatch.setattr("skymailing.segments.queries.COUNT_LIMIT", 3)
    page = preview(browser, {"field": "email", "op": "is_set"})
    assert "3+ of 3+ clients" in page.text
    assert "get no mailings" not in page.text


def test_the_preview_writes_nothing_and_finds_no_clients_of_other_owners(
    browser: FlaskClient, session: Session, shop: dict[str, Client]
) -> None:
    stranger = UserFactory.create()
    create_clients(stranger, 2, attributes={"city": "Omsk"})
    session.add(Tag(owner_id=stranger.id, name="theirs", name_key="theirs"))
    session.flush()
    assert "2 of 4 clients" in preview(browser, OMSK).text
    assert "does not exist" in preview(browser, {"field": "tag", "op": "is", "value": "theirs"}).text
    assert session.scalars(select(Segment)).all() == []


def test_the_editor_offers_the_owners_data(
    browser: FlaskClient, session: Session, user: User, shop: dict[str, Client]
) -> None:
    create_clients(UserFactory.create(), 1, attributes={"secret": "Theirs"})
    create_clients(user, 1, attributes={"shoe_size": "44"})
    for owner, name in ((user, "News"), (UserFactory.create(), "Theirs")):
        TopicFactory.create(owner=owner, name=name)

    vocabulary = read_vocabulary(browser.get("/segments/new").text)

    fields = {field["key"]: (field["name"], field["kind"]) for field in vocabulary["groups"][0]["fields"]}
    assert fields["attribute.last_purchase"] == ("Last purchase", "date")
    assert fields["attribute.shoe_size"] == ("Shoe size", "text")
    assert "attribute.secret" not in fields
    assert vocabulary["tags"] == ["Wholesale"]
    assert vocabulary["topics"] == ["News", "Offers"]
    assert [name for _id, name in vocabulary["mailings"]] == ["Spring sale"]
    create_clients(user, 2, attributes={"city": "Omsk"})
    cities = browser.get("/segments/values?field=attribute.city").json
    assert cities == ["Omsk", "Tomsk", "Tver"]
    assert browser.get("/segments/values?field=domain").json == ["example.org", "shop.org"]
    for field in ("email", "full_name", "attribute.", "attribute.secret", "", "\0"):
        assert browser.get("/segments/values", query_string={"field": field}).json == []


def test_an_old_mailing_in_the_conditions_keeps_its_name_in_the_editor(
    browser: FlaskClient, session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skymailing.segments.queries.MAILINGS_OFFERED", 1)
    old, new = (MailingFactory.create(owner=user, name=name) for name in ("Old", "New"))
    segment = add_segment(session, user, "Got it", {"field": "mailing", "op": "received", "value": old.id})
    offered = read_vocabulary(browser.get(f"/segments/{segment.id}/edit").text)["mailings"]
    assert offered == [[new.id, "New"], [old.id, "Old"]]
