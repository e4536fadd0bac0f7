"""Describe a run's progress in sentences, for its page and the command line."""

from dataclasses import dataclass
from datetime import datetime

from flask_babel import format_timedelta, get_locale, ngettext
from flask_babel import gettext as _

from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.mailings.formats import format_clock_time, format_number, format_rate
from skymailing.mailings.progress import Progress
from skymailing.mailings.route_text import format_server, list_route_limits, list_route_problems
from skymailing.quotas.letters import ReachedLimit

MINUTES_THRESHOLD = 2  # hours; longer times are shown in hours


@dataclass(frozen=True)
class ProgressText:
    """A run's progress in sentences; empty where nothing applies."""

    rate: str
    time_left: str
    forecast: str
    routes: list[str]
    server: str
    deferred: str
    waiting: str
    unknowns: list[str]
    hours: str
    limit: str


def format_progress(progress: Progress) -> ProgressText:
    """Return a run's progress in the reader's language and time zone."""
    return ProgressText(
        rate="" if progress.rate is None else format_rate(progress.rate),
        time_left=format_time_left(progress),
        forecast=format_forecast(progress),
        routes=list_route_problems(progress.routes, progress.now) + list_route_limits(progress.routes),
        server=format_server(progress.routes),
        deferred=format_deferred(progress),
        waiting=format_waiting(progress),
        unknowns=list_unknowns(progress),
        hours=format_closed_hours(progress),
        limit=format_limit(progress),
    )


def format_closed_hours(progress: Progress) -> str:
    """Return when sending continues; empty within the sending hours, or if clients' time has come."""
    if progress.zones_due_at is not None:
        time = format_clock_time(progress.zones_due_at, progress.now)
        return str(_("The next emails will be sent at %(time)s, at their clients' local time.", time=time))
    if progress.hours_open_at is None:
        return ""
    time = format_clock_time(progress.hours_open_at, progress.now)
    return str(_("Outside the sending hours. Sending continues automatically at %(time)s.", time=time))


def format_limit(progress: Progress) -> str:
    """Return which limit the owner has reached, and when more letters are sent; empty if none."""
    if progress.limit is None:
        return ""
    return describe_limit(progress.limit, progress.now)


def describe_limit(reached: ReachedLimit, now: datetime) -> str:
    """Return which limit the user has reached, and until when."""
    limit = reached.limit
    values = {"count": format_number(limit.count), "time": format_clock_time(reached.frees_at, now)}
    if limit.is_for_new:
        return str(
            _(
                "New accounts can send up to %(count)s emails per day. The rest will be sent from %(time)s.",
                **values,
            )
        )
    if limit.hours == 1:
        return str(
            _(
                "You have reached the limit of %(count)s emails per hour. The rest will be sent from "
                "%(time)s.",
                **values,
            )
        )
    return str(
        _(
            "You have reached the limit of %(count)s emails per day. The rest will be sent from %(time)s.",
            **values,
        )
    )


def format_hours(hours: SendingHours) -> str:
    """Return the days and hours in which letters may be sent; empty if there are no limits."""
    if not hours.is_limited:
        return ""
    names = get_locale().days["stand-alone"]["abbreviated"]
    days = ", ".join(names[int(day) - 1] for day in hours.weekdays)
    if hours.opens_at is None or hours.closes_at is None:
        return days
    return f"{days}, {hours.opens_at:%H:%M}–{hours.closes_at:%H:%M}"


def format_time_left(progress: Progress) -> str:
    """Return how much time is left until the run ends; empty while unknown."""
    if progress.time_left is None:
        return ""
    return str(_("about %(time)s", time=format_timedelta(progress.time_left, threshold=MINUTES_THRESHOLD)))


def format_forecast(progress: Progress) -> str:
    """Return when the run will finish, or that it does not fit into its window; empty while unknown."""
    if progress.would_expire:
        count = round_forecast(progress.would_expire)
        return str(
            ngettext(
                "Not enough time: about %(count)s email will not be sent before the mailing ends (%(end)s).",
                "Not enough time: about %(count)s emails will not be sent before the mailing ends (%(end)s).",
                count,
                count=format_number(count),
                end=format_clock_time(progress.ends_at, progress.now),
            )
        )
    if progress.finishes_at is None:
        return ""
    return str(
        _(
            "At this rate, sending finishes at %(time)s, before the mailing ends.",
            time=format_clock_time(progress.finishes_at, progress.now),
        )
    )


def format_deferred(progress: Progress) -> str:
    """Return how many letters will be tried again, and when; empty if none."""
    deferred = progress.deferred
    if not deferred.count or deferred.next_due is None:
        return ""
    return str(
        ngettext(
            "%(count)s email will be retried at %(time)s.",
            "%(count)s emails will be retried, the next one at %(time)s.",
            deferred.count,
            count=format_number(deferred.count),
            time=format_clock_time(max(deferred.next_due, progress.now), progress.now),
        )
    )


def format_waiting(progress: Progress) -> str:
    """Return how many unknown letters need the owner's attention; empty if none do."""
    if not progress.unknowns.waiting:
        return ""
    if not progress.may_resend:
        return str(
            ngettext(
                "%(num)d email is unclear: it may or may not have arrived.",
                "%(num)d emails are unclear: they may or may not have arrived.",
                progress.unknowns.waiting,
            )
        )
    return str(
        ngettext(
            "%(num)d email is unclear: it may have arrived. If it is sent again, it may arrive twice.",
            "%(num)d emails are unclear: they may have arrived. If they are sent again, they may arrive "
            "twice.",
            progress.unknowns.waiting,
        )
    )


def list_unknowns(progress: Progress) -> list[str]:
    """Return a sentence for each group of unknown letters that needs no decision."""
    unknowns = progress.unknowns
    sentences = []
    if unknowns.resend:
        at = max(unknowns.resend_at or progress.now, progress.now)
        sentences.append(
            ngettext(
                "%(num)d unclear email will be sent again at %(time)s and may arrive twice.",
                "%(num)d unclear emails will be sent again from %(time)s and may arrive twice.",
                unknowns.resend,
                time=format_clock_time(at, progress.now),
            )
        )
    if unknowns.sent_again:
        sentences.append(
            ngettext(
                "%(num)d unclear email was sent again and may have arrived twice.",
                "%(num)d unclear emails were sent again and may have arrived twice.",
                unknowns.sent_again,
            )
        )
    if unknowns.left:
        sentences.append(
            ngettext(
                "%(num)d unclear email will not be sent again.",
                "%(num)d unclear emails will not be sent again.",
                unknowns.left,
            )
        )
    return [str(sentence) for sentence in sentences]


def round_forecast(count: int) -> int:
    """Round a forecast to two significant digits: 312 becomes 310."""
    return round(count, 2 - len(str(count))) if count > 99 else count
