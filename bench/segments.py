"""Benchmark segments: counting clients among a million, and planning a mailing to a segment."""

import time
from collections.abc import Iterator

from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from bench.rows import Row, Sizes
from bench.service import MeasurementFailed, Service
from bench.testbed import POSTGRESQL, SQLITE, Testbed
from bench.timing import find_shortest_time
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.audience.segments import compile_segment
from skymailing.extensions import db
from skymailing.models import Audience, Client, Mailing, MailingAudience, Segment, Tag, User

CLIENTS = 1_000_000
# Bought in the last 90 days, lives in Omsk or Tomsk, and is not a wholesale customer.
CONDITIONS = {
    "all": [
        {"field": "attribute.bought", "op": "within_days", "value": 90},
        {"field": "attribute.city", "op": "in", "value": ["Омск", "Томск"]},
        {"field": "tag", "op": "is_not", "value": "wholesale"},
    ]
}
ALL_BUT_FEW = {
    "all": [
        {"field": "attribute.spent", "op": "gt", "value": 100},
        {"field": "attribute.city", "op": "not_equals", "value": "Москва"},
        {"field": "tag", "op": "is_not", "value": "wholesale"},
    ]
}
TYPES = {"city": "text", "spent": "number", "bought": "date"}
# Six cities, amounts up to 10,000, and purchases in the last 200 days.
ATTRIBUTES = {
    POSTGRESQL: """jsonb_build_object(
        'city', (ARRAY['Омск', 'Томск', 'Москва', 'Казань', 'Пермь', 'Тула'])[id % 6 + 1],
        'spent', (id * 7919 % 10000)::text, 'bought', (CURRENT_DATE - (id % 200)::int)::text)""",
    SQLITE: """json_object(
        'city', CASE id % 6 WHEN 0 THEN 'Омск' WHEN 1 THEN 'Томск' WHEN 2 THEN 'Москва' WHEN 3 THEN 'Казань'
                WHEN 4 THEN 'Пермь' ELSE 'Тула' END,
        'spent', CAST(id * 7919 % 10000 AS TEXT), 'bought', date('now', '-' || (id % 200) || ' days'))""",
}

EMPTY_DELIVERIES = {
    "postgresql": "TRUNCATE deliveries CASCADE",
    "sqlite": "DELETE FROM deliveries",
}


def segments(testbed: Testbed, _sizes: Sizes) -> Iterator[Row]:
    """Count a segment's clients, and compare planning a mailing to a segment with planning one to all."""
    for database, limit in ((POSTGRESQL, 1.0), (SQLITE, 3.0)):
        with testbed.service(database) as service:
            owner_id = add_owner_with_clients(service, database)
            service.pause_workers()
            with service.app.app_context():
                seconds, found = measure_count(owner_id)
                to_all = plan_mailing(service, owner_id, None)
                to_segment = plan_mailing(service, owner_id, ALL_BUT_FEW)
        yield Row(
            f"counting a three-condition segment ({found:,} of {CLIENTS:,} clients), {database}",
            f"{seconds:.2f} s",
            f"<= {limit:.0f} s",
            "",
            seconds <= limit,
            {"seconds": seconds, "found": found},
        )
        ratio = to_segment[0] / to_all[0]
        yield Row(
            f"planning a mailing to a three-condition segment, compared with all clients, {database}",
            f"{ratio:.2f} x ({to_segment[1]:,} in {to_segment[0]:.1f} s)",
            "<= 1.2 x",
            "1.1 x",
            ratio <= 1.2,
            {"ratio": ratio, "seconds": to_segment[0], "all_seconds": to_all[0]},
        )


def add_owner_with_clients(service: Service, database: str) -> int:
    """Create an owner with a million clients, of whom one in ten has the tag; return the owner's ID."""
    owner_id = service.add_owner(CLIENTS)
    with Session(service.engine) as session, session.begin():
        session.get_one(User, owner_id).attribute_types = TYPES
        tag = Tag(owner_id=owner_id, name="wholesale", name_key="wholesale")
        session.add(tag)
        session.flush()
        session.execute(text(f"UPDATE clients SET attributes = {ATTRIBUTES[database]}"))
        session.execute(
            text("INSERT INTO client_tags SELECT :tag, id FROM clients WHERE id % 10 = 0"), {"tag": tag.id}
        )
    service.skip_indexing()
    with service.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM"))
        connection.execute(text("ANALYZE"))
    return owner_id


def measure_count(owner_id: int) -> tuple[float, int]:
    """Count the segment's clients; return the shortest of three times, and the count."""
    owner = db.session.get_one(User, owner_id)
    condition = compile_segment(CONDITIONS, owner, utcnow())
    statement = select(func.count()).select_from(Client).where(Client.owner_id == owner_id, condition)
    seconds = find_shortest_time(lambda: db.session.scalar(statement))
    found = db.session.scalar(statement) or 0
    db.session.rollback()
    return seconds, found


def plan_mailing(service: Service, owner_id: int, conditions: object) -> tuple[float, int]:
    """Plan a mailing to all clients or to a segment; return the time in seconds and the number of letters."""
    mailing_id = service.add_mailing(owner_id, utcnow())
    if conditions is not None:
        with Session(service.engine) as session, session.begin():
            segment = Segment(owner_id=owner_id, name="Омск", conditions=conditions)
            session.add(segment)
            session.flush()
            session.get_one(Mailing, mailing_id).audience = Audience.SEGMENTS
            session.execute(
                insert(MailingAudience).values(
                    mailing_id=mailing_id, position=0, is_excluded=False, segment_id=segment.id
                )
            )
    start = time.perf_counter()
    plan.start_due_run(mailing_id, utcnow())
    seconds = time.perf_counter() - start
    run = service.find_run(mailing_id)
    if run is None or not run.planned:
        raise MeasurementFailed("nothing was planned")
    _remove_letters(service)
    return seconds, run.planned


def _remove_letters(service: Service) -> None:
    """Remove the planned letters, so that each plan starts with an empty table."""
    with service.engine.connect() as connection:
        connection.execute(text(EMPTY_DELIVERIES[service.engine.dialect.name]))


ROWS = {"segments": segments}
