"""List a user's limits and usage, for their profile and for managers."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from skymailing.extensions import db
from skymailing.models import Limited, UsageKind, User
from skymailing.quotas import checks, counting, letters
from skymailing.settings.quotas import quota_settings

MAX_COUNTED = 1_000_000  # items counted where there is no limit, so that the page is fast


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
    usages = [*_measure_letters(user, is_new, now), *_measure_items(user, now)]
    return Limits(usages, is_new, letters.get_new_account_end(user) if is_new else None)


def _measure_letters(user: User, is_new: bool, now: datetime) -> list[Usage]:
    kinds = {1: Limited.LETTERS_PER_HOUR, letters.HOURS_PER_DAY: Limited.LETTERS_PER_DAY}
    limits = [limit for limit in letters.list_limits() if is_new or not limit.is_for_new]
    usages = []
    for hours, kind in kinds.items():
        used = _sum(user, UsageKind.LETTERS, hours, now)
        lowest = min((limit.count for limit in limits if limit.hours == hours), default=0)
        usages.append(Usage(kind, used, lowest))
    return usages


def _measure_items(user: User, now: datetime) -> list[Usage]:
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
    megabytes = checks.sum_picture_bytes(user.id) // (1024 * 1024)
    file_megabytes = checks.sum_file_bytes(user.id) // (1024 * 1024)
    return [
        *(
            Usage(kind, checks.count_up_to(statement, limit or MAX_COUNTED), limit)
            for kind, statement, limit in rows
        ),
        Usage(Limited.PICTURE_MEGABYTES, megabytes, settings.pictures_mb),
        Usage(Limited.FILE_MEGABYTES, file_megabytes, settings.files_mb),
        Usage(
            Limited.TEST_LETTERS_PER_HOUR,
            _sum(user, UsageKind.TEST_LETTERS, 1, now),
            settings.test_letters_per_hour,
        ),
        Usage(Limited.IMPORTS_PER_DAY, _sum(user, UsageKind.IMPORTS, 24, now), settings.imports_per_day),
    ]


def _sum(user: User, kind: UsageKind, hours: int, now: datetime) -> int:
    return db.session.scalar(select(counting.total(user.id, kind, hours, now))) or 0
