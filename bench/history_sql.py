"""Generate SQL statements that fill an empty database with years of use; see `bench/history.py`."""

from collections.abc import Iterator

OWNER, ADMIN = 1, 2  # IDs of users
ZONE, ZONE_SECONDS = "Europe/Moscow", 10_800  # all owners' zone, and its offset from UTC in all these years
# `moment` converts seconds since 1970 to a time, `seconds` does the opposite, and `hash` replaces the hash of
# a server's reply.
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
    """Yield the statements in an order that satisfies foreign keys.

    The temporary table `numbers` has a row for each number from 1 to the number of clients.
    """
    sql = DIALECTS[dialect]
    moment = sql["moment"].format
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
                  SELECT owner, {address}, {address}, {NAME}, '', {sql["attributes"].format(CITY)},
                      {moment(":begin")}, {moment(":begin")}
                  FROM (SELECT n AS owner FROM numbers WHERE {owners}) owners JOIN numbers ON n <= {count}
                  ORDER BY owner, n"""
    yield f"""INSERT INTO suppressions (owner_id, email_key, reason, note, created_at)
              SELECT 1, {ADDRESS.format(n="(n * 100)")}, 'unsubscribed', '', {moment(":begin")}
              FROM numbers WHERE n <= :suppressed"""
    yield from _list_mailings(sql)
    yield from (*_list_ledger(sql), *_list_counts(sql), *_list_days(sql), *_list_audit(sql))


def _list_mailings(sql: dict[str, str]) -> Iterator[str]:
    """Yield the statements for messages, daily mailings and their runs."""
    moment = sql["moment"].format
    started = moment(":begin + (n - 1) * :step")
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
              SELECT mailings.id, {sql["uuid"]}, {started}, 'finished',
                  CASE WHEN n = :largest_run THEN :clients WHEN owner_id = 1 THEN :large ELSE :small END,
                  {started}, {started}, 'Новости', 'markdown', 'x', 'ООО', 'a@sky.example'
              FROM numbers JOIN mailings ON mailings.id = (n - 1) % :mailings + 1
              WHERE n <= :runs ORDER BY n"""


def _list_ledger(sql: dict[str, str]) -> Iterator[str]:
    """Yield the statements for deliveries and attempts: 100 letters per second, of which 2% fail.

    One letter in 27 takes two attempts.
    """
    moment, seconds = sql["moment"].format, sql["seconds"].format
    # A pseudorandom client of the owner, counted from 0.
    index = "((runs.id * 7919 + n) % CASE WHEN owner_id = 1 THEN :clients ELSE :few_clients END)"
    client_id = (
        f"CASE WHEN owner_id = 1 THEN 1 ELSE :clients + (owner_id - 2) * :few_clients + 1 END + {index}"
    )
    address = ADDRESS.format(n=f"({index} + 1)")
    at = moment(f"{seconds('started_at')} + n / 100")
    yield f"""INSERT INTO deliveries (run_id, client_id, email, email_key, state, attempts, finished_at)
              SELECT runs.id, {client_id}, {address}, {address},
                  CASE n % 50 WHEN 0 THEN 'failed' ELSE 'sent' END, CASE n % 27 WHEN 0 THEN 2 ELSE 1 END, {at}
              FROM runs JOIN mailings ON mailings.id = mailing_id JOIN numbers ON n <= planned
              ORDER BY runs.id, n"""
    is_retried = "number < deliveries.attempts"
    yield f"""INSERT INTO attempts (delivery_id, run_id, mailing_id, owner_id, number, at, outcome, code,
                  answer, route)
              SELECT deliveries.id, run_id, mailing_id, owner_id, number, deliveries.finished_at,
                  CASE WHEN {is_retried} THEN 'deferred' ELSE deliveries.state END,
                  CASE WHEN {is_retried} THEN 451 WHEN deliveries.state = 'sent' THEN 250 ELSE 550 END,
                  CASE WHEN {is_retried} THEN '4.7.1 Try again later' WHEN deliveries.state = 'sent'
                      THEN '2.0.0 Ok: queued as 4Xy' || deliveries.id ELSE '5.1.1 no such user' END, 'default'
              FROM deliveries JOIN runs ON runs.id = run_id JOIN mailings ON mailings.id = mailing_id
                  JOIN (SELECT n AS number FROM numbers WHERE n <= 2) tries ON number <= deliveries.attempts
              ORDER BY deliveries.id, number"""


def _list_counts(sql: dict[str, str]) -> Iterator[str]:
    """Yield the statements for the runs' counts by minute and for the servers' replies."""
    moment, seconds = sql["moment"].format, sql["seconds"].format
    elapsed = sql["floor"].format("(n - 1) / 6000") + " * 60"
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
              SELECT runs.id, started_at, {sql["hash"]}, mailing_id, owner_id, 'failed', 550,
                  '5.1.1 no such user', planned / 50
              FROM runs JOIN mailings ON mailings.id = mailing_id WHERE planned >= 50"""


def _list_days(sql: dict[str, str]) -> Iterator[str]:
    """Yield the statements for daily sums in the owners' time zone: for all mailings, and for each one."""
    moment, begin = sql["moment"].format, sql["seconds"].format("begins_at")
    day = sql["floor"].format(f"({begin} + {ZONE_SECONDS}) / 86400") + f" * 86400 - {ZONE_SECONDS}"
    times = f"'[' || {sql['join']}('[' || elapsed || ', ' || sent || ']', ', ') || ']'"
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


def _list_audit(sql: dict[str, str]) -> Iterator[str]:
    at = sql["moment"].format(":begin + n")
    yield f"""INSERT INTO audit_entries (at, actor_id, actor, address, action, kind, target_id, target,
                  reason)
              SELECT {at}, 2, 'manager@sky.example', '127.0.0.1', 'log-exported', 'user', n,
                  'owner' || n || '@sky.example', ''
              FROM numbers WHERE n <= :audit_entries"""
