"""Describe a run's progress in sentences, for its page and the command line."""

from dataclasses import dataclass
from datetime import datetime

from flask_babel import format_datetime, format_decimal, format_timedelta, get_locale, ngettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.mailings.progress import Progress, RouteState

PER_SECOND_FROM = 2.0  # letters per second; slower rates are shown per minute
MINUTES_UP_TO = 2  # hours; longer times are shown in hours


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
        routes=list_route_problems(progress) + list_route_limits(progress),
        server=format_server(progress),
        deferred=format_deferred(progress),
        waiting=format_waiting(progress),
        unknowns=list_unknowns(progress),
        hours=format_closed_hours(progress),
        limit=format_limit(progress),
    )


def format_closed_hours(progress: Progress) -> str:
    """Return when sending continues; empty within the sending hours."""
    if progress.hours_open_at is None:
        return ""
    time = format_clock_time(progress.hours_open_at, progress.now)
    return str(_("Outside the sending hours. Sending continues automatically at %(time)s.", time=time))


def format_limit(progress: Progress) -> str:
    """Return which limit the owner has reached, and when more letters are sent; empty if none."""
    if progress.limit is None:
        return ""
    limit = progress.limit.limit
    values = {
        "count": format_number(limit.most),
        "time": format_clock_time(progress.limit.frees_at, progress.now),
    }
    if limit.is_for_new:
        return str(
            _(
                "New accounts can send %(count)s letters a day. The rest will be sent from %(time)s.",
                **values,
            )
        )
    if limit.hours == 1:
        return str(
            _(
                "You have reached the limit of %(count)s letters an hour. "
                "The rest will be sent from %(time)s.",
                **values,
            )
        )
    return str(
        _(
            "You have reached the limit of %(count)s letters a day. The rest will be sent from %(time)s.",
            **values,
        )
    )


def format_hours(hours: SendingHours) -> str:
    """Return the days and hours in which letters may be sent; empty if there are no limits."""
    if not hours.is_limited:
        return ""
    names = get_locale().days["stand-alone"]["abbreviated"]
    days = ", ".join(names[int(day) - 1] for day in hours.weekdays)
    if hours.opens is None or hours.closes is None:
        return days
    return f"{days}, {hours.opens:%H:%M}–{hours.closes:%H:%M}"


def format_rate(rate: float) -> str:
    """Return a rate; `rate` is in letters per second."""
    if rate >= PER_SECOND_FROM:
        count = round(rate)
        return str(
            ngettext(
                "%(rate)s letter per second", "%(rate)s letters per second", count, rate=format_number(count)
            )
        )
    count = round(rate * 60)
    return str(
        ngettext(
            "%(rate)s letter per minute", "%(rate)s letters per minute", count, rate=format_number(count)
        )
    )


def format_time_left(progress: Progress) -> str:
    """Return how much time is left until the run ends; empty while unknown."""
    if progress.time_left is None:
        return ""
    return str(_("about %(time)s", time=format_timedelta(progress.time_left, threshold=MINUTES_UP_TO)))


def format_forecast(progress: Progress) -> str:
    """Return when the run will finish, or that it does not fit into its window; empty while unknown."""
    if progress.would_expire:
        count = round_forecast(progress.would_expire)
        return str(
            ngettext(
                "Not enough time: about %(count)s letter will not be sent before the end (%(end)s).",
                "Not enough time: about %(count)s letters will not be sent before the end (%(end)s).",
                count,
                count=format_number(count),
                end=format_clock_time(progress.ends_at, progress.now),
            )
        )
    if progress.finishes_at is None:
        return ""
    return str(
        _(
            "At this rate, sending finishes at %(time)s, before the end.",
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
            "%(count)s letter will be tried again at %(time)s.",
            "%(count)s letters will be tried again, the next one at %(time)s.",
            deferred.count,
            count=format_number(deferred.count),
            time=format_clock_time(max(deferred.next_due, progress.now), progress.now),
        )
    )


def list_route_problems(progress: Progress) -> list[str]:
    """Return a sentence for each relevant mail server problem."""
    if not progress.routes or progress.routes[0].is_fine:
        return []
    first, *others = progress.routes
    sentences = [_format_route_problem(first, progress.now, is_first=True)]
    if first.is_open:
        for other in others:
            if other.is_open:
                sentences.append(_format_route_problem(other, progress.now, is_first=False))
            else:
                sentences.append(str(_("Letters are sent through the second mail server.")))
    return sentences


def list_route_limits(progress: Progress) -> list[str]:
    """Return what makes the mail server that is in use slower than it could be."""
    route = next((route for route in progress.routes if not route.is_open), None)
    sentences = []
    if route and route.pace is not None:
        sentences.append(
            _(
                "The mail server asks us to slow down. Limit for now: %(rate)s. Its reply: %(answer)s",
                rate=format_rate(route.pace),
                answer=route.refusal,
            )
        )
    if route and route.is_step_by_step:
        sentences.append(
            _("The mail server offers PIPELINING, but it does not work. Letters are sent without it, slower.")
        )
    return [str(sentence) for sentence in sentences]


def format_server(progress: Progress) -> str:
    """Return `connected`, or an empty text if the mail server has a problem or is not in use."""
    return str(_("connected")) if progress.routes and progress.routes[0].is_fine else ""


def _format_route_problem(route: RouteState, now: datetime, *, is_first: bool) -> str:
    if not route.is_open:
        text = _l("The mail server had an error at %(since)s and is being retried: %(answer)s")
    else:
        text = DOWN_TEXTS[is_first, route.retry_at is None]
    values = {
        "since": format_clock_time(route.since or now, now),
        "next": format_clock_time(max(route.retry_at or now, now), now),
        "answer": route.answer.removeprefix("None "),
    }
    return str(text % values)


# The keys: whether it is the first mail server, and whether it is being probed.
DOWN_TEXTS = {
    (True, True): _l(
        "The mail server has not accepted letters since %(since)s and is being tested: %(answer)s"
    ),
    (True, False): _l(
        "The mail server has not accepted letters since %(since)s; next try at %(next)s: %(answer)s"
    ),
    (False, True): _l(
        "The second mail server has not accepted letters since %(since)s and is being tested: %(answer)s"
    ),
    (False, False): _l(
        "The second mail server has not accepted letters since %(since)s; next try at %(next)s: %(answer)s"
    ),
}


def format_waiting(progress: Progress) -> str:
    """Return how many unknown letters need the owner's decision; empty if none do."""
    if not progress.unknowns.waiting:
        return ""
    return str(
        ngettext(
            "It is unknown whether %(num)d letter was delivered. If it is sent again, it may arrive twice.",
            "It is unknown whether %(num)d letters were delivered. If they are sent again, they may arrive "
            "twice.",
            progress.unknowns.waiting,
        )
    )


def list_unknowns(progress: Progress) -> list[str]:
    """Return what will happen or has happened to the other letters that may arrive twice."""
    unknowns = progress.unknowns
    sentences = []
    if unknowns.resend:
        at = max(unknowns.resend_at or progress.now, progress.now)
        sentences.append(
            ngettext(
                "%(num)d letter with unknown delivery will be sent again at %(time)s and may arrive twice.",
                "%(num)d letters with unknown delivery will be sent again from %(time)s and may arrive "
                "twice.",
                unknowns.resend,
                time=format_clock_time(at, progress.now),
            )
        )
    if unknowns.sent_again:
        sentences.append(
            ngettext(
                "%(num)d letter with unknown delivery was sent again and may have arrived twice.",
                "%(num)d letters with unknown delivery were sent again and may have arrived twice.",
                unknowns.sent_again,
            )
        )
    if unknowns.left:
        sentences.append(
            ngettext(
                "%(num)d letter with unknown delivery will not be sent again.",
                "%(num)d letters with unknown delivery will not be sent again.",
                unknowns.left,
            )
        )
    return [str(sentence) for sentence in sentences]


def format_clock_time(moment: datetime, now: datetime) -> str:
    """Return the time of day in the reader's zone, with the date if it is another day."""
    is_today = format_datetime(moment, "yMMdd") == format_datetime(now, "yMMdd")
    return str(format_datetime(moment, "HH:mm" if is_today else "d MMM, HH:mm"))


def round_forecast(count: int) -> int:
    """Round a forecast to two significant digits: 312 becomes 310."""
    return round(count, 2 - len(str(count))) if count > 99 else count


def format_number(count: int) -> str:
    return str(format_decimal(count))
