"""Test tags on the client form, in the list of clients, and renaming, merging and deleting them."""

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clients import tag_changes
from skymailing.models import (
    Client,
    Mailing,
    MailingAudience,
    MailingState,
    Periodicity,
    Removal,
    Segment,
    Tag,
    User,
    client_tags,
)
from tests.clients.pages import find_addresses, find_errors
from tests.support.factories import ClientFactory, MailingFactory, UserFactory, create_clients
from tests.support.statements import record_statements

WHOLESALE = {"field": "tag", "op": "is_not", "value": "WHOLEsale"}


def read_tags(session: Session) -> dict[str, set[str]]:
    """Return the tags of each client who has any, by address."""
    rows = session.execute(
        select(Client.email, Tag.name).join(client_tags, client_tags.c.client_id == Client.id).join(Tag)
    )
    tags: dict[str, set[str]] = {}
    for email, name in rows.tuples():
        tags.setdefault(email, set()).add(name)
    return tags


def add_tags(session: Session, owner: User, tags: dict[str, str]) -> dict[str, Tag]:
    """Create tags, each for clients given by the first letters of their addresses."""
    created: dict[str, Tag] = {}
    clients: dict[str, Client] = {}
    for name, letters in tags.items():
        created[name] = tag = Tag(owner_id=owner.id, name=name, name_key=name.lower())
        session.add(tag)
        session.flush()
        for letter in letters:
            clients[letter] = clients.get(letter) or ClientFactory.create(
                owner=owner, email=f"{letter}@x.com"
            )
            session.execute(client_tags.insert().values(tag_id=tag.id, client_id=clients[letter].id))
    return created


def use_tag(session: Session, mailing: Mailing, tag: Tag, *, is_excluded: bool = False) -> None:
    position = len(
        session.scalars(select(MailingAudience).where(MailingAudience.mailing_id == mailing.id)).all()
    )
    session.add(
        MailingAudience(mailing_id=mailing.id, position=position, is_excluded=is_excluded, tag_id=tag.id)
    )
    session.flush()


def list_uses(session: Session) -> set[tuple[int, str, bool]]:
    rows = session.execute(
        select(MailingAudience.mailing_id, Tag.name, MailingAudience.is_excluded).join(
            Tag, Tag.id == MailingAudience.tag_id
        )
    )
    return set(rows.tuples())


@pytest.mark.one_engine
def test_the_client_form_saves_tags(browser: FlaskClient, user: User, session: Session) -> None:
    data = {"email": "anna@x.com", "tags": " VIP, wholesale,,vip , two  words"}
    assert browser.post("/clients/new", data=data).status_code == 302
    assert read_tags(session) == {"anna@x.com": {"vip", "wholesale", "two words"}}
    client = session.scalars(select(Client)).one()

    form = BeautifulSoup(browser.get(f"/clients/{client.id}/edit").text, "html.parser")
    field = form.select_one("input[name=tags]")
    assert field
    assert field["value"] == "two words, vip, wholesale"
    options = [option["value"] for option in form.select(f"datalist#{field['list']} option")]
    assert options == ["two words", "vip", "wholesale"]

    browser.post(f"/clients/{client.id}/edit", data={"email": "anna@x.com", "tags": "VIP, new"})
    assert read_tags(session) == {"anna@x.com": {"vip", "new"}}


@pytest.mark.one_engine
def test_tags_beyond_the_limits_are_rejected(browser: FlaskClient, user: User, session: Session) -> None:
    add_tags(session, user, {"vip": "a", "new": "a"})
    client = session.scalars(select(Client)).one()
    for tags, text in (
        ("x" * 101, "up to 100 characters"),
        (",".join(map(str, range(101))), "up to 100 tags"),
    ):
        page = browser.post(f"/clients/{client.id}/edit", data={"email": "b@x.com", "tags": tags}).text
        assert text in find_errors(page)["tags"]
    session.add_all(Tag(owner_id=user.id, name=str(n), name_key=str(n)) for n in range(998))
    session.commit()
    for url in ("/clients/new", f"/clients/{client.id}/edit"):
        page = browser.post(url, data={"email": "b@x.com", "tags": "one more"}).text
        assert "up to 1000 tags" in find_errors(page)["tags"]
    session.expire_all()
    assert session.scalars(select(Client.email)).all() == ["a@x.com"]
    assert read_tags(session) == {"a@x.com": {"vip", "new"}}


@pytest.mark.one_engine
def test_the_list_shows_tags_and_can_be_filtered_by_one(
    browser: FlaskClient, user: User, session: Session
) -> None:
    add_tags(session, user, {"vip": "ab", "new & hot": "b"})
    add_tags(session, UserFactory.create(), {"secret": "s", "VIP": "t"})
    create_clients(user, 60)
    page = BeautifulSoup(browser.get("/clients/?sort=email").text, "html.parser")
    row = next(row for row in page.select("tbody tr") if "b@x.com" in row.text)
    links = {link.text: str(link["href"]) for link in row.select("a.tag-label")}
    assert list(links) == ["new & hot", "vip"]
    assert find_addresses(browser.get(links["new & hot"]).text) == ["b@x.com"]

    found = browser.get("/clients/?tag=Vip&sort=email").text
    assert find_addresses(found) == ["a@x.com", "b@x.com"]
    assert "2 found" in found
    assert find_addresses(browser.get("/clients/?tag=vip&q=b@").text) == ["b@x.com"]
    assert "Change or remove a filter." in browser.get("/clients/?tag=vip&q=zz").text
    for name in ("secret", "gone", "%", "'", "\0gone"):
        missing = browser.get("/clients/", query_string={"tag": name}).text
        assert find_addresses(missing) == []
        assert "does not exist" in missing


@pytest.mark.one_engine
def test_the_pages_of_a_tag_keep_the_filter(browser: FlaskClient, user: User, session: Session) -> None:
    tag = add_tags(session, user, {"vip": ""})["vip"]
    clients = create_clients(user, 62)
    rows = [{"tag_id": tag.id, "client_id": client.id} for client in clients]
    session.execute(client_tags.insert(), rows)
    create_clients(user, 60)
    page = browser.get("/clients/?tag=vip").text
    assert "62 found" in page
    link = BeautifulSoup(page, "html.parser").select_one("a[rel=next]")
    assert link
    assert "tag=vip" in str(link["href"])
    assert len(find_addresses(browser.get(str(link["href"])).text)) == 12


@pytest.mark.one_engine
def test_the_tags_of_a_page_take_one_query(browser: FlaskClient, user: User, session: Session) -> None:
    add_tags(session, user, {"vip": "abcdefgh", "new": "abcd"})
    session.commit()
    with record_statements() as statements:
        assert browser.get("/clients/").text.count('"tag-label"') == 12
    assert sum("client_tags" in statement for statement in statements) == 1


def test_segments_and_mailings_follow_renaming_and_merging(
    browser: FlaskClient, user: User, session: Session
) -> None:
    tags = add_tags(session, user, {"wholesale": "ab", "partners": "bc", "vip": "a"})
    nested = {"any": [{"not": {"all": [WHOLESALE]}}, {"field": "tag", "op": "is", "value": "vip"}]}
    plain = {"field": "full_name", "op": "equals", "value": "wholesale"}
    segments = [Segment(owner_id=user.id, name=str(n), conditions=c) for n, c in enumerate((nested, plain))]
    stranger = Segment(owner_id=UserFactory.create().id, name="theirs", conditions=WHOLESALE)
    session.add_all([*segments, stranger])
    both, one = MailingFactory.create(owner=user), MailingFactory.create(owner=user)
    for mailing, name in ((both, "wholesale"), (both, "partners"), (one, "wholesale")):
        use_tag(session, mailing, tags[name])
    use_tag(session, both, tags["wholesale"], is_excluded=True)
    both_id, one_id = both.id, one.id
    url = f"/clients/tags/{tags['wholesale'].id}"
    into = {"into": str(tags["partners"].id)}
    session.commit()

    assert browser.post(f"{url}/edit", data={"name": "Resale"}).status_code == 302
    session.expire_all()
    assert segments[0].conditions["any"][0] == {"not": {"all": [WHOLESALE | {"value": "Resale"}]}}
    assert [segment.version for segment in (*segments, stranger)] == [2, 1, 1]
    assert read_tags(session)["a@x.com"] == {"Resale", "vip"}

    page = browser.post(f"{url}/merge", data=into, follow_redirects=True).text
    assert "The tag “Resale” was merged into “partners”" in page
    session.expire_all()
    assert read_tags(session) == {
        "a@x.com": {"partners", "vip"},
        "b@x.com": {"partners"},
        "c@x.com": {"partners"},
    }
    assert segments[0].conditions["any"][0] == {"not": {"all": [WHOLESALE | {"value": "partners"}]}}
    assert segments[0].version == 3
    assert (segments[1].conditions, stranger.conditions) == (plain, WHOLESALE)
    used = {(both_id, "partners", False), (both_id, "partners", True), (one_id, "partners", False)}
    assert list_uses(session) == used
    assert browser.post(f"{url}/merge", data=into).status_code == 404


@pytest.mark.one_engine
def test_a_tag_needs_a_unique_name(browser: FlaskClient, user: User, session: Session) -> None:
    tag = add_tags(session, user, {"wholesale": "a", "vip": ""})["wholesale"]
    url = f"/clients/tags/{tag.id}"
    session.commit()
    assert "merge the two" in browser.post(f"{url}/edit", data={"name": "VIP"}).text
    assert "Enter a name" in browser.post(f"{url}/edit", data={"name": " , "}).text
    assert "up to 100 characters" in browser.post(f"{url}/edit", data={"name": "x" * 101}).text
    session.expire_all()
    assert read_tags(session) == {"a@x.com": {"wholesale"}}


def test_a_deleted_tag_can_be_restored(browser: FlaskClient, user: User, session: Session) -> None:
    tags = add_tags(session, user, {"vip": "abc", "new": "a"})
    segment = Segment(owner_id=user.id, name="Loyal ones", conditions=WHOLESALE | {"value": "vip"})
    session.add(segment)
    mailing = MailingFactory.create(owner=user, name="Spring sale", state=MailingState.SCHEDULED)
    use_tag(session, mailing, tags["vip"])
    mailing_id, url = mailing.id, f"/clients/tags/{tags['vip'].id}/delete"
    session.commit()

    for state in (MailingState.DRAFT, MailingState.PAUSED, MailingState.RUNNING):
        mailing.state = state
        session.commit()
        assert "Spring sale" in browser.post(url).text
        session.expire_all()
        assert len(read_tags(session)) == 3
    mailing.state = MailingState.FINISHED
    session.commit()
    page = browser.get(url).text
    assert "Loyal ones" in page
    assert "Spring sale" not in page
    page = browser.post(url, follow_redirects=True).text
    session.expire_all()
    assert read_tags(session) == {"a@x.com": {"new"}}
    assert list_uses(session) == set()

    session.delete(session.scalars(select(Client).where(Client.email == "c@x.com")).one())
    session.commit()
    (undo,) = BeautifulSoup(page, "html.parser").select(".flash form")
    browser.post(str(undo["action"]))
    session.expire_all()
    assert read_tags(session) == {"a@x.com": {"new", "vip"}, "b@x.com": {"vip"}}
    assert list_uses(session) == {(mailing_id, "vip", False)}
    assert browser.post(str(undo["action"])).status_code == 404


@pytest.mark.one_engine
def test_a_tag_that_a_recurring_mailing_excludes_is_kept(
    browser: FlaskClient, user: User, session: Session
) -> None:
    """Its owner can extend the mailing, which must not reach more people than before."""
    tags = add_tags(session, user, {"vip": "a"})
    mailing = MailingFactory.create(
        owner=user, name="Weekly", state=MailingState.FINISHED, periodicity=Periodicity.WEEKLY
    )
    use_tag(session, mailing, tags["vip"], is_excluded=True)
    session.commit()
    assert "Weekly" in browser.post(f"/clients/tags/{tags['vip'].id}/delete").text
    assert len(read_tags(session)) == 1


@pytest.mark.one_engine
def test_a_tag_of_too_many_clients_cannot_be_restored(
    browser: FlaskClient, user: User, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tag_changes, "MAX_UNDOABLE", 2)
    tags = add_tags(session, user, {"vip": "ab", "all": "abc"})
    session.commit()
    few, many = (f"/clients/tags/{tags[name].id}/delete" for name in ("vip", "all"))
    assert "You can undo this" in browser.get(few).text
    assert "because too many clients have this tag." in browser.get(many).text
    page = browser.post(many, follow_redirects=True).text
    assert "Tag deleted." in page
    assert not BeautifulSoup(page, "html.parser").select(".flash form")
    assert session.scalars(select(Removal)).all() == []
    assert read_tags(session) == {"a@x.com": {"vip"}, "b@x.com": {"vip"}}


@pytest.mark.one_engine
def test_a_restored_tag_joins_a_new_one_with_its_name(
    browser: FlaskClient, user: User, session: Session
) -> None:
    tags = add_tags(session, user, {"vip": "ab"})
    session.commit()
    page = browser.post(f"/clients/tags/{tags['vip'].id}/delete", follow_redirects=True).text
    client = session.scalars(select(Client).where(Client.email == "a@x.com")).one()
    browser.post(f"/clients/{client.id}/edit", data={"email": "a@x.com", "tags": "VIP"})
    (undo,) = BeautifulSoup(page, "html.parser").select(".flash form")
    browser.post(str(undo["action"]))
    session.expire_all()
    assert read_tags(session) == {"a@x.com": {"VIP"}, "b@x.com": {"VIP"}}
