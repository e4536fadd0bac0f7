"""List a user's limits and usage, for their profile and for managers."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, select

from skymailing.extensions import db
from skymailing.models import Limited, UsageKind, User
from skymailing.quotas import checks, counting, letters
from skymailing.settings.quotas import quota_settings

MAX_COUNTED = 1_000_000  # items counted where there is no limit, so that the page is fast
MEGABYTE = 1024 * 1024
UNITS = {Limited.PICTURE_MEGABYTES: MEGABYTE, Limited.FILE_MEGABYTES: MEGABYTE}

# A limit's kind, an expression for what has been used, and the limit.
Measured: TypeAlias = tuple[Limited, ColumnElement[Any], int]


@dataclass(frozen=True, slots=True)
class Usage:
    """One limit: what it applies to, how much has been used, and the limit itself, or 0 if there is none."""

    kind: Limited
    used: int
    limit: int

    @property
    def is_reached(self) -> bool:
        return 0 < self.limit <= self.used


@dataclass(frozen=True, slots=True)
class Limits:
    """A user's limits; `new_until` is when those for new accounts end, if they apply."""

    usages: list[Usage]
    is_new: bool
    new_until: datetime | None


def measure(user: User, now: datetime) -> Limits:
    """Return the user's limits and usage."""
    is_new = letters.is_new(user, now) and any(limit.is_for_new for limit in letters.list_limits())
    measured = [*_measure_letters(user, is_new, now), *_measure_items(user), *_measure_uses(user, now)]
    # One statement instead of twenty.
    row = db.session.execute(select(*(used for _, used, _ in measured))).one()
    usages = [
        Usage(kind, int(used or 0) // UNITS.get(kind, 1), limit)
        for used, (kind, _, limit) in zip(row, measured, strict=True)
    ]
    return Limits(usages, is_new, letters.get_new_account_end(user) if is_new else None)


def _measure_letters(user: User, is_new: bool, now: datetime) -> Iterator[Measured]:
    kinds = {1: Limited.LETTERS_PER_HOUR, letters.HOURS_PER_DAY: Limited.LETTERS_PER_DAY}
    limits = [limit for limit in letters.list_limits() if is_new or not limit.is_for_new]
    for hours, kind in kinds.items():
        lowest = min((limit.count for limit in limits if limit.hours == hours), default=0)
        yield kind, counting.total(user.id, UsageKind.LETTERS, hours, now), lowest


def _measure_items(user: User) -> Iterator[Measured]:
    settings = quota_settings()
    rows = (
        (Limited.CLIENTS, checks.select_clients(user.id), settings.clients),
        (Limited.MESSAGES, checks.select_messages(user.id), settings.messages),
        (Limited.MAILINGS, checks.select_mailings(user.id), settings.mailings),
        (Limited.SEGMENTS, checks.select_segments(user.id), settings.segments),
        (Limited.SEQUENCES, checks.select_sequences(user.id), settings.sequences),
        (Limited.FORMS, checks.select_forms(user.id), settings.forms),
        (Limited.TOPICS, checks.select_topics(user.id), settings.topics),
        (Limited.SENDERS, checks.select_senders(user.id), settings.senders),
        (Limited.DOMAINS, checks.select_domains(user.id), settings.domains),
        (Limited.SERVERS, checks.select_servers(user.id), settings.servers),
        (Limited.WEBHOOKS, checks.select_webhooks(user.id), settings.webhooks),
        (Limited.DRAFTS, checks.select_drafts(user.id), settings.drafts),
        (Limited.PICTURES, checks.select_pictures(user.id), settings.pictures),
    )
    for kind, statement, limit in rows:
        yield kind, checks.counted(statement, limit or MAX_COUNTED), limit
    yield Limited.PICTURE_MEGABYTES, checks.picture_bytes(user.id), settings.pictures_mb
    yield Limited.FILE_MEGABYTES, checks.file_bytes(user.id), settings.files_mb


def _measure_uses(user: User, now: datetime) -> Iterator[Measured]:
    settings = quota_settings()
    tests = counting.total(user.id, UsageKind.TEST_LETTERS, 1, now)
    yield Limited.TEST_LETTERS_PER_HOUR, tests, settings.test_letters_per_hour
    imports = counting.total(user.id, UsageKind.IMPORTS, 24, now)
    yield Limited.IMPORTS_PER_DAY, imports, settings.imports_per_day
