"""Describe the mail servers of a run in sentences."""

from datetime import datetime

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from skymailing.mailings.formats import format_clock_time, format_rate
from skymailing.mailings.progress import RouteState


def list_route_problems(routes: tuple[RouteState, ...], now: datetime) -> list[str]:
    """Return a sentence for each relevant mail server problem."""
    if not routes or routes[0].is_fine:
        return []
    first, *others = routes
    sentences = [_format_route_problem(first, now, is_first=True)]
    if first.is_chosen:
        sentences.append(str(_("You chose this mail server for the sender. Other senders are not affected.")))
    if not first.is_usable:
        for other in others:
            if other.is_usable:
                sentences.append(str(_("Emails are sent through the second mail server.")))
            else:
                sentences.append(_format_route_problem(other, now, is_first=False))
    return sentences


def list_route_limits(routes: tuple[RouteState, ...]) -> list[str]:
    """Return a sentence for each thing that slows down the mail server in use."""
    route = next((route for route in routes if route.is_usable), None)
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
            _(
                "The mail server offers PIPELINING, but it does not work. "
                "Emails are sent without it, which is slower."
            )
        )
    return [str(sentence) for sentence in sentences]


def format_server(routes: tuple[RouteState, ...]) -> str:
    """Return `connected`, or an empty string if the mail server has a problem or is not in use."""
    return str(_("connected")) if routes and routes[0].is_fine else ""


def _format_route_problem(route: RouteState, now: datetime, *, is_first: bool) -> str:
    if route.is_owner_paused:
        text = PAUSED_TEXTS[is_first]
    elif not route.is_open:
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
        "The mail server has not accepted emails since %(since)s and is being tested: %(answer)s"
    ),
    (True, False): _l(
        "The mail server has not accepted emails since %(since)s; next try at %(next)s: %(answer)s"
    ),
    (False, True): _l(
        "The second mail server has not accepted emails since %(since)s and is being tested: %(answer)s"
    ),
    (False, False): _l(
        "The second mail server has not accepted emails since %(since)s; next try at %(next)s: %(answer)s"
    ),
}

# The key: whether it is the first mail server.
PAUSED_TEXTS = {
    True: _l(
        "The mail server refuses your emails for now, but accepts those of other users; next try at "
        "%(next)s: %(answer)s"
    ),
    False: _l(
        "The second mail server refuses your emails for now, but accepts those of other users; next try "
        "at %(next)s: %(answer)s"
    ),
}
