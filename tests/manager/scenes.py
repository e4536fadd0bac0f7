"""Use the service as its users do, and read the pages of the panel."""

import re
from datetime import timedelta

from flask import Flask

from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import UsageKind, User
from skymailing.quotas import counting

OVERVIEW = "/manager/"


def use(app: Flask, user: User, days_ago: float = 0, **counts: int) -> None:
    """Count uses by kind, such as `test_letters`."""
    at = utcnow() - timedelta(days=days_ago)
    with app.app_context(), db.engine.begin() as connection:
        for name, count in counts.items():
            counting.add(connection, user.id, UsageKind[name.upper()], count, at)


def section(page: str, title: str) -> str:
    return page.split(f"<h2>{title}</h2>")[1].split("</section>")[0]


def text_of(markup: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", markup).split())
