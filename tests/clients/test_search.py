"""Test that a search finds exactly the clients it should, whether the index is up to date or behind."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, text, true
from sqlalchemy.orm import Session

from skymailing.clients.filters import ClientFilter, find_clients
from skymailing.clients.queries import DEFAULT_ORDER, ORDERS
from skymailing.clients.search import finding, index, trigrams
from skymailing.clients.search.finding import search_clients
from skymailing.clients.search.index import is_behind
from skymailing.clients.search.tasks import update_index
from skymailing.clients.tags import add_tag, find_or_create_tags
from skymailing.clock import utcnow
from skymailing.db.pagination import paginate
from skymailing.extensions import db
from skymailing.models import Client, ClientToIndex, User
from tests.support.factories import ClientFactory, UserFactory

ALPHABET = "абАБßiIabAB019 %_*?[]\\/\"'+-.@"
WORDS = st.text(ALPHABET, min_size=1, max_size=5)


@pytest.fixture
def context(app: Flask, session: Session) -> Iterator[None]:
    for table in ("client_search", "clients_to_index"):
        session.execute(text(f"DELETE FROM {table}"))  # left by the deletion of other tests' clients
    with app.app_context():
        yield
        db.session.rollback()


@pytest.fixture
def town(session: Session, user: User, context: None) -> dict[str, Client]:
    """Create clients of the user and of someone else, and index them."""
    clients = {
        "anna": ClientFactory.create(
            owner=user, email="anna@example.org", full_name="Анна Иванова", attributes={"city": "Тула"}
        ),
        "boris": ClientFactory.create(
            owner=user,
            email="boris_b@xn--80a1acny.xn--p1ai",
            full_name="Борис 100%",
            attributes={"phone": "+7999"},
        ),
    }
    ClientFactory.create(owner=UserFactory.create(), email="anna@example.org", full_name="Анна Чужая")
    finish_indexing()
    return clients


def finish_indexing() -> None:
    update_index(lambda _elapsed: False)
    assert not is_behind()
    db.session.rollback()


def find(owner: User, search: str) -> list[str]:
    condition = search_clients(owner.id, search).condition
    statement = select(Client.email).where(Client.owner_id == owner.id, condition).order_by(Client.id)
    emails = list(db.session.scalars(statement))
    db.session.rollback()
    return emails


FOUND = {
    "": ["anna", "boris"],
    "АННА": ["anna"],
    "иванова анна": ["anna"],  # the words in any order, and in different places
    "тула ann": ["anna"],
    "тула борис": [],
    "city": [],  # the name of an attribute is not searched
    "+799": ["boris"],
    "b@почта.рф": ["boris"],
    "100%": ["boris"],
    "s_b": ["boris"],
    "s%b": [],
    "ан": ["anna"],  # shorter than a trigram
    "нна ова ann": ["anna"],
    "чужая": [],  # someone else's client
    '"': [],
    "qwe OR anna": [],
}


def test_a_search_finds_words_in_names_addresses_and_data(town: dict[str, Client], user: User) -> None:
    found = {search: find(user, search) for search in FOUND}

    assert found == {search: [town[name].email for name in names] for search, names in FOUND.items()}


def test_changes_are_found_before_and_after_the_index_is_updated(
    town: dict[str, Client], session: Session, user: User
) -> None:
    town["anna"].full_name = "Мария Иванова"
    session.delete(town["boris"])
    session.flush()
    ClientFactory.create(owner=user, email="clara@example.org", attributes={"city": "Тверь"})

    for _ in range(2):
        assert find(user, "мария") == ["anna@example.org"]
        assert find(user, "анна иванова") == []
        assert find(user, "твер") == ["clara@example.org"]
        assert find(user, "борис") == []
        finish_indexing()
    rows = session.scalar(text("SELECT count(*) FROM client_search"))
    assert rows == 3  # two of the user and one of someone else: the deleted client's text is gone


@pytest.mark.only_on("postgresql", reason="SQLite has no pending list")
def test_searches_read_no_pending_entries_after_indexing(session: Session, user: User, context: None) -> None:
    ClientFactory.create_batch(20, owner=user, full_name="Анна")
    finish_indexing()
    merged = text("SELECT gin_clean_pending_list('ix_client_search_content')")
    assert session.scalar(merged) == 0


@pytest.mark.only_on("postgresql", reason="reads the statistics of PostgreSQL's planner")
def test_the_owner_of_most_clients_finds_only_their_own(session: Session, user: User, context: None) -> None:
    other = ClientFactory.create(owner=UserFactory.create(), full_name="Анна")
    own = ClientFactory.create_batch(30, owner=user, full_name="Анна")
    finish_indexing()
    session.execute(text("ANALYZE clients"))

    assert index._owns_most(user.id)
    assert not index._owns_most(other.owner_id)
    assert find(user, "анна") == [client.email for client in own]


def test_the_index_narrows_a_search(town: dict[str, Client], session: Session, user: User) -> None:
    assert index.find_candidates(user.id, ["иванова"], 10) == [town["anna"].id]
    assert index.find_candidates(user.id, ["нет такого"], 10) == []
    assert index.find_candidates(user.id, ["ан"], 10) is None


def test_a_search_ignores_an_index_that_is_far_behind(
    town: dict[str, Client], session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "MAX_WAITING", 1)
    session.execute(text("DELETE FROM client_search"))
    session.add_all(ClientToIndex(owner_id=user.id, client_id=client.id) for client in town.values())
    session.flush()

    assert find(user, "анна") == ["anna@example.org"]


def test_a_stopped_update_continues_where_it_stopped(
    session: Session, user: User, context: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "BATCH", 2)
    clients = ClientFactory.create_batch(5, owner=user, full_name="Анна")

    assert update_index(lambda _elapsed: True)
    assert session.scalar(select(func.count()).select_from(ClientToIndex)) == 3
    finish_indexing()
    found = index.find_candidates(user.id, ["анна"], 10)
    assert found is not None
    assert sorted(found) == [client.id for client in clients]


def test_long_texts_are_indexed_in_small_batches_and_only_their_beginning(
    session: Session, user: User, context: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "BATCH_CHARACTERS", 1000)
    monkeypatch.setattr(trigrams, "MAX_INDEXED", 800)
    clients = [
        ClientFactory.create(owner=user, email=f"{n}@x.example", attributes={"text": "ab " * 300 + f"end{n}"})
        for n in range(3)
    ]

    assert [index.index_batch() for _ in range(3)] == [2, 1, 0]
    db.session.commit()
    assert find(user, "end1") == ["1@x.example"]
    found = index.find_candidates(user.id, ["end1"], 10)
    assert found is not None
    assert sorted(found) == [client.id for client in clients]


def test_other_owners_pending_clients_do_not_turn_off_the_index(
    town: dict[str, Client], user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "MAX_WAITING", 1)
    ClientFactory.create_batch(3, owner=UserFactory.create())

    assert index.find_candidates(user.id, ["иванова"], 10) == [town["anna"].id]


def test_the_count_of_a_search_with_many_matches_is_a_lower_bound(
    session: Session, user: User, context: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "MAX_CANDIDATES", 3)
    ClientFactory.create_batch(5, owner=user, full_name="Анна")
    finish_indexing()

    assert count(user, "анна") == (3, False)
    assert len(find(user, "анна")) == 5


@pytest.fixture
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat words as frequent if half of the four newest clients have them."""
    monkeypatch.setattr(finding, "SAMPLES", (2, 4))
    monkeypatch.setattr(finding, "FREQUENT_SHARE", 0.5)


def test_frequent_words_are_counted_among_the_newest_clients(
    session: Session, user: User, context: None, few_samples: None
) -> None:
    ClientFactory.create_batch(3, owner=user, full_name="Анна")
    ClientFactory.create_batch(3, owner=user, full_name="Вера")
    finish_indexing()

    assert count(user, "вера") == (3, False)
    assert count(user, "анна") == (3, True)  # the index finds those who are not among the newest
    assert count(user, "вера нет") == (0, True)
    assert len(find(user, "вера")) == 3


def test_other_criteria_are_counted_among_all_clients(
    session: Session, user: User, context: None, few_samples: None
) -> None:
    ClientFactory.create_batch(2, owner=user, full_name="Анна")
    add_tag(user.id, find_or_create_tags(user.id, ["VIP"])["vip"], true())
    db.session.commit()
    ClientFactory.create_batch(4, owner=user, full_name="Анна")

    assert show_count(user, ClientFilter("анна")) == "4+"
    assert show_count(user, ClientFilter("анна", tag="VIP")) == "2"
    assert show_count(user, ClientFilter()) == "6"


def show_count(user: User, chosen: ClientFilter) -> str:
    """Return the number that the list shows above its first page."""
    found = find_clients(user, chosen, utcnow())
    return str(found.count(paginate(found.statement, ORDERS[DEFAULT_ORDER], None, per_page=1)))


def count(user: User, words: str) -> tuple[int, bool]:
    search = search_clients(user.id, words)
    found = search.count(select(Client).where(Client.owner_id == user.id, search.condition))
    return found.number, found.is_exact


@settings(max_examples=60)
@given(texts=st.lists(st.text(ALPHABET, max_size=8), min_size=1, max_size=4), search=WORDS)
def test_the_index_loses_no_client(
    session: Session, user: User, context: None, texts: list[str], search: str
) -> None:
    session.execute(delete(Client))
    for number, value in enumerate(texts):
        ClientFactory.create(
            owner=user, email=f"c{number}@x.example", full_name=value[:4], attributes={"data": value[4:]}
        )
    before = find(user, search)
    finish_indexing()

    assert find(user, search) == before
    assert before == [
        f"c{number}@x.example" for number, value in enumerate(texts) if has(number, value, search)
    ]


def has(number: int, value: str, search: str) -> bool:
    parts = (f"c{number}@x.example", value[:4].lower(), value[4:].lower())
    return all(any(word.lower() in part for part in parts) for word in search.split())


def test_the_sweep_updates_the_index(
    app: Flask, session: Session, user: User, browser: FlaskClient, work: Callable[[], None]
) -> None:
    ClientFactory.create(owner=user, full_name="Анна Иванова")

    app.test_cli_runner().invoke(args=["sweep"])
    work()

    assert session.scalar(select(func.count()).select_from(ClientToIndex)) == 0
    assert "Анна Иванова" in browser.get("/clients/?q=иванова").text
