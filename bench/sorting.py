"""Benchmark sorting the list of clients by values without an index, in an address book of a million."""

from collections.abc import Iterator

from sqlalchemy import insert, literal, select, text

from bench.rows import Row, Sizes
from bench.search import analyze
from bench.segments import CLIENTS, add_owner_with_clients
from bench.service import Service
from bench.testbed import POSTGRESQL, SQLITE, Testbed
from bench.timing import find_shortest_time
from skymailing.clients.filters import ClientFilter, find_clients
from skymailing.clients.sorting import MAX_SORTED, MAX_SORTED_BY_LETTERS, TooManyToSort, find_sorted
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.extensions import db
from skymailing.models import Audience, Client, Mailing, MailingAudience, Tag, User, client_tags

# The tags, each of as many clients as can be sorted by these columns.
ORDERS = {
    "many": ("changed", "attribute.city", "-attribute.spent", "attribute.bought"),
    "few": ("-last_email", "-last_click"),
}
COUNTS = {"many": MAX_SORTED, "few": MAX_SORTED_BY_LETTERS}
MAX_SECONDS = 1.0
LETTERS = 10  # per client with the tag
RESULTS = (
    "UPDATE deliveries SET state = 'sent', finished_at = CURRENT_TIMESTAMP",
    """INSERT INTO clicks (delivery_id, number, run_id, first_at, last_at, was_person, clicks, machine_clicks)
       SELECT id, 1, run_id, id, id, true, 1, 0 FROM deliveries WHERE id % 10 = 0""",
)


def sorting(testbed: Testbed, _sizes: Sizes) -> Iterator[Row]:
    """Sort the clients with a tag, as many as can be sorted, and try to sort all clients."""
    for database in (POSTGRESQL, SQLITE):
        with testbed.service(database) as service:
            service.pause_workers()
            owner_id = add_owner_with_clients(service, database)
            with service.app.app_context():
                tags = {name: add_tag(owner_id, name) for name in COUNTS}
                add_letters(service, owner_id, tags["few"])
                analyze(service)
                times = {o: measure(owner_id, name, o) for name, orders in ORDERS.items() for o in orders}
                refused = measure(owner_id, "", "changed")
        slowest = max(times, key=times.__getitem__)
        yield Row(
            f"sorting {MAX_SORTED:,} of {CLIENTS:,} clients by a value without an index, or "
            f"{MAX_SORTED_BY_LETTERS:,} by their letters, {database}",
            f"{times[slowest] * 1000:.0f} ms ({slowest}); all are refused in {refused * 1000:.0f} ms",
            f"<= {MAX_SECONDS:.0f} s",
            "",
            times[slowest] <= MAX_SECONDS,
            {"seconds": times, "refused": refused},
        )


def add_tag(owner_id: int, name: str) -> int:
    """Tag some clients, spread over the address book; return the tag's ID."""
    tag = Tag(owner_id=owner_id, name=name, name_key=name)
    db.session.add(tag)
    db.session.flush()
    step = CLIENTS // COUNTS[name]
    spread = select(Client.id, literal(tag.id)).where(Client.owner_id == owner_id, Client.id % step == 0)
    db.session.execute(insert(client_tags).from_select(["client_id", "tag_id"], spread))
    tag_id = tag.id
    db.session.commit()
    return tag_id


def add_letters(service: Service, owner_id: int, tag_id: int) -> None:
    """Add sent letters to the clients with the tag, a tenth of them with a click."""
    for _ in range(LETTERS):
        mailing_id = service.add_mailing(owner_id, utcnow())
        db.session.get_one(Mailing, mailing_id).audience = Audience.SEGMENTS
        part = {"mailing_id": mailing_id, "position": 0, "is_excluded": False, "tag_id": tag_id}
        db.session.execute(insert(MailingAudience).values(part))
        db.session.commit()
        plan.start_due_run(mailing_id, utcnow())
        db.session.commit()
    for statement in RESULTS:
        db.session.execute(text(statement))
    db.session.commit()


def measure(owner_id: int, tag: str, order: str) -> float:
    """Find the first page in this order; return the shortest of three times."""
    owner = db.session.get_one(User, owner_id)

    def find() -> None:
        found = find_clients(owner, ClientFilter(tag=tag), utcnow())
        try:
            find_sorted(found, owner, order, None, 1)
        except TooManyToSort:
            assert not tag
        db.session.rollback()

    return find_shortest_time(find)


ROWS = {"sorting": sorting}
