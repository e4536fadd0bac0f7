"""Fill a database with years of use: set-wise SQL for both databases.

The first owner has most of the clients and letters. IDs grow with time, as they do in real use.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text

from bench.search import build_index
from bench.service import Service
from skymailing.clock import utcnow

YEARS = 5
OWNER, ADMIN = 1, 2  # IDs of users
DELETED = 4  # the number of a client of the first owner who was deleted
ZONE, ZONE_SECONDS = "Europe/Moscow", 10_800  # of all owners; its offset from UTC has not changed
RUNS_PER_MAILING = 10
# The tables whose indexes are created after their rows.
LARGE_TABLES = ("deliveries", "attempts")


@dataclass(frozen=True)
class History:
    """How much an installation has been used."""

    owners: int
    clients: int  # of the first owner; the others have a thousandth of them, but at least 20
    runs: int
    deliveries: int  # an eighth of them in one run of the first owner, to all of its clients
    audit_entries: int

    @classmethod
    def of(cls, deliveries: int) -> "History":
        """Return a history of this many deliveries with everything else in proportion."""
        owners = max(3, min(200, deliveries // 40_000))
        return cls(owners, deliveries // 8, deliveries // 400, deliveries, deliveries // 16)

    @property
    def mailings(self) -> int:
        return max(4, self.runs // RUNS_PER_MAILING // 4 * 4)  # every fourth is the first owner's

    @property
    def largest_run(self) -> int:
        return self.mailings * RUNS_PER_MAILING // 2

    @property
    def values(self) -> dict[str, int]:
        """The parameters of the statements."""
        now = int(utcnow().timestamp()) // 900 * 900
        span = YEARS * 365 * 86_400
        rest = self.deliveries - self.clients
        return vars(self) | {
            "few_clients": max(20, self.clients // 1_000),
            "mailings": self.mailings,
            "largest_run": self.largest_run,
            # Three quarters of the letters are the first owner's, who has a quarter of the runs.
            "large": max(1, min(rest * 3 // self.runs, self.clients)),
            "small": max(1, min(rest // (3 * self.runs), max(20, self.clients // 1_000))),
            "begin": now - span,
            "end": now,
            "step": max(900, span // self.runs // 900 * 900),
            "suppressed": max(1, self.clients // 100),
        }


# `moment` makes a time from seconds since 1970, and `hash` stands in for the hash of a reply. The table
# `numbers` has a row for each number from 1.
DIALECTS = {
    "postgresql": {
        "moment": "to_timestamp({})",
        "attributes": "jsonb_build_object('city', {}, 'phone', '+7999' || lpad(CAST(n AS TEXT), 7, '0'))",
        "uuid": "gen_random_uuid()",
        "hash": "md5('550')",
        "floor": "CAST(floor({}) AS INTEGER)",
        "join": "string_agg",
        "seconds": "extract(epoch FROM {})",
    },
    "sqlite": {
        "moment": "strftime('%Y-%m-%d %H\\:%M\\:%S.000000', {}, 'unixepoch')",
        "attributes": "json_object('city', {}, 'phone', printf('+7999%07d', n))",
        "uuid": "lower(hex(randomblob(16)))",
        "hash": "'550'",
        "floor": "CAST({} AS INTEGER)",
        "join": "group_concat",
        "seconds": "CAST(strftime('%s', {}) AS INTEGER)",
    },
}
OWNER_OF_NUMBER = "CASE WHEN n % 4 = 0 THEN 1 ELSE 2 + n % (:owners - 1) END"
CITY = "CASE n % 5 WHEN 0 THEN 'Омск' WHEN 1 THEN 'Томск' WHEN 2 THEN 'Казань' ELSE 'Тула' END"
NAME = (
    "CASE n % 5 WHEN 0 THEN 'Анна' WHEN 1 THEN 'Пётр' WHEN 2 THEN 'Ольга' WHEN 3 THEN 'Иван' ELSE 'Вера' END"
    " || ' ' || CASE n % 11 WHEN 0 THEN 'Белых' WHEN 1 THEN 'Седых' "
    "WHEN 2 THEN 'Долгих' ELSE 'Черных' END || CAST(n AS TEXT)"
)
ADDRESS = "'client' || {n} || '@d' || ({n} % 50) || '.example'"


def list_statements(dialect: str) -> Iterator[str]:
    """Yield the statements in the order of foreign keys."""
    words = DIALECTS[dialect]
    moment = words["moment"].format
    started = moment(":begin + (n - 1) * :step")
    yield "CREATE TEMPORARY TABLE numbers (n INTEGER PRIMARY KEY)"
    yield (
        "INSERT INTO numbers WITH RECURSIVE r (n) AS "
        "(SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < :clients) SELECT n FROM r"
    )
    yield "ANALYZE"
    yield f"""INSERT INTO users (id, email, password_hash, role, name, locale, timezone, blocked_reason,
                  session_epoch, confirmed_at, trusted_at, created_at, updated_at)
              SELECT n, 'owner' || n || '@sky.example', '', CASE n WHEN {ADMIN} THEN 'admin' ELSE 'user' END,
                  'ООО ' || n, '', '{ZONE}', '', n, {moment(":begin")}, {moment(":begin")},
                  {moment(":begin")}, {moment(":begin")}
              FROM numbers WHERE n <= :owners"""
    for owners, count in (("n = 1", ":clients"), ("n BETWEEN 2 AND :owners", ":few_clients")):
        address = ADDRESS.format(n="n")
        yield f"""INSERT INTO clients (owner_id, email, email_key, full_name, comment, attributes, created_at,
                      updated_at)
                  SELECT owner, {address}, {address}, {NAME}, '', {words["attributes"].format(CITY)},
                      {moment(":begin")}, {moment(":begin")}
                  FROM (SELECT n AS owner FROM numbers WHERE {owners}) owners JOIN numbers ON n <= {count}
                  ORDER BY owner, n"""
    yield f"""INSERT INTO suppressions (owner_id, email_key, reason, note, created_at)
              SELECT 1, {ADDRESS.format(n="(n * 100)")}, 'unsubscribed', '', {moment(":begin")}
              FROM numbers WHERE n <= :suppressed"""
    yield f"""INSERT INTO messages (owner_id, subject, format, body, created_at, updated_at)
              SELECT {OWNER_OF_NUMBER}, 'Новости ' || n, 'markdown',
                  'Здравствуйте, {{{{ name }}}}! Вам в {{{{ client.city }}}}: {{{{ client.phone }}}}',
                  {moment(":begin")}, {moment(":begin")}
              FROM numbers WHERE n <= :mailings ORDER BY n"""
    yield f"""INSERT INTO mailings (owner_id, message_id, name, sender_name, audience, starts_at, ends_at,
                  periodicity, on_unknown, on_late, weekdays, state, state_reason, disabled_reason,
                  created_at, updated_at)
              SELECT owner_id, id, 'Рассылка ' || id, 'ООО', 'all', {moment(":begin + (id - 1) * :step")},
                  {moment(":end")}, 'daily', 'resend', 'send', '1234567', 'finished', '', '',
                  created_at, updated_at
              FROM messages ORDER BY id"""
    yield f"""INSERT INTO runs (mailing_id, uuid, scheduled_for, state, planned, started_at, finished_at,
                  subject, format, body, sender_name, reply_to)
              SELECT mailings.id, {words["uuid"]}, {started}, 'finished',
                  CASE WHEN n = :largest_run THEN :clients WHEN owner_id = 1 THEN :large ELSE :small END,
                  {started}, {started}, 'Новости', 'markdown', 'x', 'ООО', 'a@sky.example'
              FROM numbers JOIN mailings ON mailings.id = (n - 1) % :mailings + 1
              WHERE n <= :runs ORDER BY n"""
    yield from (*_list_ledger(words), *_list_days(words), *_list_audit(words))


def _list_ledger(words: dict[str, str]) -> Iterator[str]:
    """Yield the statements for deliveries, attempts and counts: 100 letters per second, 2 % refused.

    One in 27 is accepted or refused only at the second attempt.
    """
    moment, seconds = words["moment"].format, words["seconds"].format
    number = (
        "((runs.id * 7919 + n) % CASE WHEN owner_id = 1 THEN :clients ELSE :few_clients END)"  # of the client
    )
    client = f"CASE WHEN owner_id = 1 THEN 1 ELSE :clients + (owner_id - 2) * :few_clients + 1 END + {number}"
    address = ADDRESS.format(n=f"({number} + 1)")
    at = moment(f"{seconds('started_at')} + n / 100")
    yield f"""INSERT INTO deliveries (run_id, client_id, email, email_key, state, attempts, finished_at)
              SELECT runs.id, {client}, {address}, {address},
                  CASE n % 50 WHEN 0 THEN 'failed' ELSE 'sent' END, CASE n % 27 WHEN 0 THEN 2 ELSE 1 END, {at}
              FROM runs JOIN mailings ON mailings.id = mailing_id JOIN numbers ON n <= planned
              ORDER BY runs.id, n"""
    is_first = "number < deliveries.attempts"
    yield f"""INSERT INTO attempts (delivery_id, run_id, mailing_id, owner_id, number, at, outcome, code,
                  answer, route)
              SELECT deliveries.id, run_id, mailing_id, owner_id, number, deliveries.finished_at,
                  CASE WHEN {is_first} THEN 'deferred' ELSE deliveries.state END,
                  CASE WHEN {is_first} THEN 451 WHEN deliveries.state = 'sent' THEN 250 ELSE 550 END,
                  CASE WHEN {is_first} THEN '4.7.1 Try again later' WHEN deliveries.state = 'sent'
                      THEN '2.0.0 Ok: queued as 4Xy' || deliveries.id ELSE '5.1.1 no such user' END, 'default'
              FROM deliveries JOIN runs ON runs.id = run_id JOIN mailings ON mailings.id = mailing_id
                  JOIN (SELECT n AS number FROM numbers WHERE n <= 2) tries ON number <= deliveries.attempts
              ORDER BY deliveries.id, number"""
    elapsed = words["floor"].format("(n - 1) / 6000") + " * 60"
    yield f"""INSERT INTO run_intervals (run_id, begins_at, mailing_id, owner_id, elapsed, deferred, is_fresh,
                  planned, sent, failed, unknown, expired, suppressed, cancelled, attempts)
              SELECT runs.id, {moment(f"{seconds('max(started_at)')} + {elapsed}")}, max(mailing_id),
                  max(owner_id), {elapsed}, 0, false, CASE {elapsed} WHEN 0 THEN max(planned) ELSE 0 END,
                  sum(CASE n % 50 WHEN 0 THEN 0 ELSE 1 END), sum(CASE n % 50 WHEN 0 THEN 1 ELSE 0 END),
                  0, 0, 0, 0, sum(CASE n % 27 WHEN 0 THEN 2 ELSE 1 END)
              FROM runs JOIN mailings ON mailings.id = mailing_id JOIN numbers ON n <= planned
              GROUP BY runs.id, {elapsed} ORDER BY runs.id, {elapsed}"""
    yield f"""INSERT INTO run_answers (run_id, begins_at, fingerprint, mailing_id, owner_id, outcome, code,
                  words, attempts)
              SELECT runs.id, started_at, {words["hash"]}, mailing_id, owner_id, 'failed', 550,
                  '5.1.1 no such user', planned / 50
              FROM runs JOIN mailings ON mailings.id = mailing_id WHERE planned >= 50"""


def _list_days(words: dict[str, str]) -> Iterator[str]:
    """Yield the statements for the sums of days, of all mailings and of each, in the owners' time zone."""
    moment, begin = words["moment"].format, words["seconds"].format("begins_at")
    day = words["floor"].format(f"({begin} + {ZONE_SECONDS}) / 86400") + f" * 86400 - {ZONE_SECONDS}"
    times = f"'[' || {words['join']}('[' || elapsed || ', ' || sent || ']', ', ') || ']'"
    reasons = """CASE WHEN sum(failed) = 0 THEN '[]'
        ELSE '[[550, "5.1.1 no such user", ' || sum(failed) || ']]' END"""
    for mailing in ("0", "mailing_id"):
        yield f"""INSERT INTO report_days (owner_id, mailing_id, begins_at, ends_at, times, reasons, planned,
                      sent, failed, unknown, expired, suppressed, cancelled, attempts)
                  SELECT owner_id, mailing, {moment("day")}, {moment("day + 86400")}, {times}, {reasons},
                      sum(planned), sum(sent), sum(failed), 0, 0, 0, 0, sum(attempts)
                  FROM (SELECT owner_id, {mailing} AS mailing, {day} AS day, elapsed, sum(planned) AS planned,
                            sum(sent) AS sent, sum(failed) AS failed, sum(attempts) AS attempts
                        FROM run_intervals GROUP BY 1, 2, 3, 4) counted
                  GROUP BY owner_id, mailing, day ORDER BY owner_id, day, mailing"""


def _list_audit(words: dict[str, str]) -> Iterator[str]:
    at = words["moment"].format(":begin + n")
    yield f"""INSERT INTO audit_entries (at, actor_id, actor, address, action, kind, target_id, target,
                  reason)
              SELECT {at}, 2, 'manager@sky.example', '127.0.0.1', 'log-exported', 'user', n,
                  'owner' || n || '@sky.example', ''
              FROM numbers WHERE n <= :audit_entries"""


def fill(service: Service, history: History) -> float:
    """Fill the empty database of a service whose workers are paused; return the time in seconds."""
    start = time.perf_counter()
    values = history.values
    # One connection for all, because the temporary table is its own.
    with service.engine.connect() as connection, _without_indexes(connection):
        for statement in list_statements(connection.dialect.name):
            used = {name: value for name, value in values.items() if f":{name}" in statement}
            connection.execute(text(statement), used)
        _continue_ids(connection)
    delete_client(service)
    with service.app.app_context():
        build_index(service)
    with service.engine.connect() as connection:
        is_postgresql = connection.dialect.name == "postgresql"
        connection.execute(text("VACUUM ANALYZE" if is_postgresql else "ANALYZE"))
    return time.perf_counter() - start


def delete_client(service: Service) -> None:
    """Delete a client of the first owner, whose letters remain."""
    deleted = text("SELECT id FROM clients WHERE owner_id = :owner ORDER BY id LIMIT 1 OFFSET :before")
    with service.engine.connect() as connection:
        client = {"id": connection.scalar(deleted, {"owner": OWNER, "before": DELETED - 1})}
        connection.execute(text("UPDATE deliveries SET client_id = NULL WHERE client_id = :id"), client)
        connection.execute(text("DELETE FROM clients WHERE id = :id"), client)


def _continue_ids(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT setval('users_id_seq', (SELECT max(id) FROM users))"))


@contextlib.contextmanager
def _without_indexes(connection: Connection) -> Iterator[None]:
    """Drop the indexes of the large tables, and create them again at the end; check no foreign keys."""
    if connection.dialect.name == "sqlite":
        connection.execute(text("PRAGMA foreign_keys = OFF"))
        connection.execute(text("PRAGMA synchronous = OFF"))
        found = connection.execute(
            text("SELECT name, sql, tbl_name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        ).all()
        dropped = [(f"DROP INDEX {row.name}", row.sql) for row in found if row.tbl_name in LARGE_TABLES]
    else:
        connection.execute(text("SET maintenance_work_mem = '256MB'"))
        dropped = list(_find_postgresql_indexes(connection))
        dropped += [
            (f"ALTER TABLE {table} DISABLE TRIGGER ALL", f"ALTER TABLE {table} ENABLE TRIGGER ALL")
            for table in LARGE_TABLES
        ]
    for drop, _create in dropped:
        connection.execute(text(drop))
    yield
    for _drop, create in dropped:
        connection.execute(text(create))
    connection.invalidate()  # with its settings


def _find_postgresql_indexes(connection: Connection) -> Iterator[tuple[str, str]]:
    for table in LARGE_TABLES:
        keys = connection.execute(
            text(
                "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
                "WHERE conrelid = CAST(:table AS regclass) AND contype = 'u'"
            ),
            {"table": table},
        ).all()
        for name, definition in keys:
            drop = f"ALTER TABLE {table} DROP CONSTRAINT {name}"
            yield drop, f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"
        indexes = connection.execute(
            text("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = :table"), {"table": table}
        ).all()
        own = {f"pk_{table}", *(name for name, _definition in keys)}
        for name, definition in indexes:
            if name not in own:
                yield f"DROP INDEX {name}", definition
