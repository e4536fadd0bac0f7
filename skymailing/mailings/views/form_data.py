"""Fill in the mailing form: for a new mailing, and with the values of a saved one."""

from datetime import datetime, timedelta
from typing import Any

from flask import request
from flask_login import current_user

from skymailing.delivery.audience.parts import read_parts
from skymailing.mailings import queries
from skymailing.mailings.audience import write_name
from skymailing.mailings.selection import read_selection
from skymailing.mailings.variant_fields import DEFAULT_PERCENT, fill_in
from skymailing.mailings.variants import read_variants
from skymailing.models import EVERY_DAY, Audience, Mailing
from skymailing.senders.queries import find_default_sender

DEFAULT_WINDOW = timedelta(days=7)


def make_initial_values(now: datetime) -> dict[str, Any]:
    """Return the initial values of the form for a new mailing; by default, it ends in a week."""
    sender = find_default_sender(current_user.id)
    return {
        "sender": sender.id if sender else 0,
        "sender_name": "" if sender else current_user.name,
        "message": request.args.get("message"),
        "topic": request.args.get("topic"),
        "ends_at": (now + DEFAULT_WINDOW).replace(second=0, microsecond=0),
        **queries.find_default_tracking(current_user.id),
    }


def read_current_values(mailing: Mailing) -> dict[str, Any]:
    """Return the values of the form for a saved mailing."""
    parts = read_parts(mailing)
    return {
        "name": mailing.name,
        "message": mailing.message_id,
        "sender": mailing.sender_id or 0,
        "sender_name": mailing.sender_name,
        "topic": mailing.topic_id or 0,
        "audience": "all" if mailing.audience is Audience.ALL_EXCEPT else mailing.audience.value,
        "clients": read_selection(mailing),
        "include": [write_name(part) for part in parts.include],
        "exclude": [write_name(part) for part in parts.exclude],
        "starts_at": mailing.starts_at,
        "is_local_time": mailing.is_local_time,
        "on_passed": mailing.on_passed,
        "ends_at": mailing.ends_at,
        "periodicity": mailing.periodicity.value,
        "repeat_unit": mailing.repeat_unit.value,
        "repeat_every": mailing.repeat_every,
        "repeat_weekdays": list(mailing.repeat_weekdays),
        "repeat_on_last_day": mailing.repeat_on_last_day,
        "weekdays": [] if mailing.weekdays == EVERY_DAY else list(mailing.weekdays),
        "opens_at": mailing.opens_at,
        "closes_at": mailing.closes_at,
        "on_late": mailing.on_late.value,
        "on_unknown": mailing.on_unknown.value,
        "track_clicks": mailing.track_clicks,
        "track_opens": mailing.track_opens,
        "sample_percent": mailing.sample_percent or DEFAULT_PERCENT,
        "test_hours": mailing.test_hours,
        "winner_by": mailing.winner_by,
        **fill_in(read_variants(mailing)),
    }
