"""What a run's progress means, in sentences, for its page and for the shell."""

from dataclasses import dataclass
from datetime import datetime

from flask_babel import format_datetime, format_decimal, format_timedelta, get_locale, ngettext
from flask_babel import gettext as _

from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.mailings.progress import Progress, RouteState

PER_SECOND_FROM = 2.0  # letters per second; slower rates are told by the minute
MINUTES_UP_TO = 2  # hours; longer times are told in hours


@dataclass(frozen=True)
class Words:
    """A run's progress in sentences; empty where there is nothing to say."""

    rate: str
    time_left: str
    forecast: str
    routes: list[str]
    server: str
    deferred: str
    waiting: str
    unclear: list[str]
    rest: str


def put_into_words(progress: Progress) -> Words:
    """Return what a person reads about a run's progress, in their language and time zone."""
    return Words(
        rate=rate_words(progress),
        time_left=time_left_words(progress),
        forecast=forecast_words(progress),
        routes=route_words(progress),
        server=server_words(progress),
        deferred=deferred_words(progress),
        waiting=waiting_words(progress),
        unclear=unclear_words(progress),
        rest=rest_words(progress),
    )


def rest_words(progress: Progress) -> str:
    """Return until when the run rests outside its sending hours; empty when it does not."""
    if progress.rests_until is None:
        return ""
    time = clock_time(progress.rests_until, progress.now)
    return str(_("Outside its sending hours: it rests and goes on by itself at %(time)s.", time=time))


def hours_words(hours: SendingHours) -> str:
    """Return on which days and hours letters may leave; empty when there are no limits."""
    if not hours.is_limited:
        return ""
    names = get_locale().days["stand-alone"]["abbreviated"]
    days = ", ".join(names[int(day) - 1] for day in hours.weekdays)
    if hours.opens is None or hours.closes is None:
        return days
    return f"{days}, {hours.opens:%H:%M}–{hours.closes:%H:%M}"


def rate_words(progress: Progress) -> str:
    """Return how fast letters leave; empty while that is unknown."""
    return "" if progress.rate is None else pace_words(progress.rate)


def pace_words(rate: float) -> str:
    """Return a rate, given in letters per second."""
    if rate >= PER_SECOND_FROM:
        count = round(rate)
        return str(
            ngettext("%(rate)s letter per second", "%(rate)s letters per second", count, rate=number(count))
        )
    count = round(rate * 60)
    return str(
        ngettext("%(rate)s letter per minute", "%(rate)s letters per minute", count, rate=number(count))
    )


def time_left_words(progress: Progress) -> str:
    """Return how long the run still takes; empty while that is unknown."""
    if progress.time_left is None:
        return ""
    return str(_("about %(time)s", time=format_timedelta(progress.time_left, threshold=MINUTES_UP_TO)))


def forecast_words(progress: Progress) -> str:
    """Return when the run will be over, or that it does not fit into its window; empty while unknown."""
    if progress.would_expire:
        count = rounded(progress.would_expire)
        return str(
            ngettext(
                "Does not fit: about %(count)s letter would expire at the end, %(end)s.",
                "Does not fit: about %(count)s letters would expire at the end, %(end)s.",
                count,
                count=number(count),
                end=clock_time(progress.ends_at, progress.now),
            )
        )
    if progress.finishes_at is None:
        return ""
    return str(
        _(
            "At this rate finished at %(time)s, before the end.",
            time=clock_time(progress.finishes_at, progress.now),
        )
    )


def deferred_words(progress: Progress) -> str:
    """Return how many letters wait for another try, and until when; empty when none does."""
    deferred = progress.deferred
    if not deferred.count or deferred.next_due is None:
        return ""
    return str(
        ngettext(
            "%(count)s letter is tried again later: at %(time)s.",
            "%(count)s letters are tried again later: the next one at %(time)s.",
            deferred.count,
            count=number(deferred.count),
            time=clock_time(max(deferred.next_due, progress.now), progress.now),
        )
    )


def route_words(progress: Progress) -> list[str]:
    """Return what is wrong with the mail servers, one sentence for each that matters."""
    if not progress.routes or progress.routes[0].is_fine:
        return []
    first, *others = progress.routes
    sentences = [_trouble(first, progress.now, is_first=True)]
    if first.is_open:
        for other in others:
            if other.is_open:
                sentences.append(_trouble(other, progress.now, is_first=False))
            else:
                sentences.append(str(_("Meanwhile letters leave through the second mail server.")))
    return sentences


def server_words(progress: Progress) -> str:
    """Return that the mail server takes letters; empty when it has trouble, or is not asked."""
    return str(_("takes letters")) if progress.routes and progress.routes[0].is_fine else ""


def _trouble(route: RouteState, now: datetime, *, is_first: bool) -> str:
    values = {
        "since": clock_time(route.since or now, now),
        "next": clock_time(max(route.retry_at or now, now), now),
        "words": route.words.removeprefix("None "),
    }
    if not route.is_open:
        return str(_("The mail server had a fault at %(since)s and is tried again: %(words)s", **values))
    if route.retry_at is None and is_first:
        return str(
            _("The mail server takes no letters since %(since)s; now it is tried: %(words)s", **values)
        )
    if route.retry_at is None:
        return str(_("Nor does the second one since %(since)s; now it is tried: %(words)s", **values))
    if is_first:
        return str(
            _("The mail server takes no letters since %(since)s, next try %(next)s: %(words)s", **values)
        )
    return str(_("Nor does the second one since %(since)s, next try %(next)s: %(words)s", **values))


def waiting_words(progress: Progress) -> str:
    """Return for how many unclear letters somebody has to decide; empty when for none."""
    if not progress.unclear.waiting:
        return ""
    return str(
        ngettext(
            "For %(num)d letter nobody can know whether the mail server took it: "
            "sent again, it might arrive twice.",
            "For %(num)d letters nobody can know whether the mail server took them: "
            "sent again, they might arrive twice.",
            progress.unclear.waiting,
        )
    )


def unclear_words(progress: Progress) -> list[str]:
    """Return what becomes, or became, of the other letters that may arrive twice."""
    unclear = progress.unclear
    sentences = []
    if unclear.resend:
        at = max(unclear.resend_at or progress.now, progress.now)
        sentences.append(
            ngettext(
                "%(num)d unclear letter is sent once more at %(time)s: it might arrive twice.",
                "%(num)d unclear letters are sent once more, the first at %(time)s: they might arrive twice.",
                unclear.resend,
                time=clock_time(at, progress.now),
            )
        )
    if unclear.sent_again:
        sentences.append(
            ngettext(
                "%(num)d letter was unclear and was sent again: its client may have it twice.",
                "%(num)d letters were unclear and were sent again: their clients may have them twice.",
                unclear.sent_again,
            )
        )
    if unclear.left:
        sentences.append(
            ngettext(
                "%(num)d unclear letter is left as it is.",
                "%(num)d unclear letters are left as they are.",
                unclear.left,
            )
        )
    return [str(sentence) for sentence in sentences]


def clock_time(moment: datetime, now: datetime) -> str:
    """Return the time of day in the reader's zone, with the date when that is another day."""
    is_today = format_datetime(moment, "yMMdd") == format_datetime(now, "yMMdd")
    return str(format_datetime(moment, "HH:mm" if is_today else "d MMM, HH:mm"))


def rounded(count: int) -> int:
    """Return a forecast's number with two digits that count: 312 is about 310."""
    return round(count, 2 - len(str(count))) if count > 99 else count


def number(count: int) -> str:
    return str(format_decimal(count))
