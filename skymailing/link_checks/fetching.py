"""Open links like a browser, to find out whether they work.

The target of each redirect is checked like the first address. Only the head of a response is read, and only
its code and its redirect are kept. Cookies are ignored.
"""

import http.client
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urljoin

from skymailing.delivery.smtp.public_addresses import Network, NotPublic
from skymailing.link_checks.addresses import MAX_URL, NotAllowed, Target, parse_target
from skymailing.models.link_check import LinkOutcome
from skymailing.safe_http.connection import (
    Deadline,
    ReadableSocket,
    ResponseTooLong,
    connect,
    write,
    write_head,
)

LINK_SECONDS = 10.0  # for a link with all its redirects
CHECK_SECONDS = 60.0  # for all links of a letter
AT_ONCE = 5
MOST_REDIRECTS = 5
MOST_HEADER_BYTES = 32 * 1024
REDIRECTS = (301, 302, 303, 307, 308)
PERMANENT = (301, 308)
GONE = (404, 410)


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of opening a link: the last code, if there was one, and where the link has moved."""

    outcome: LinkOutcome
    status: int | None = None
    location: str = ""

    def describe(self, url: str) -> dict[str, Any]:
        """Return the form in which `LinkCheck.links` keeps it."""
        found: dict[str, Any] = {"url": url, "outcome": self.outcome.value, "status": self.status}
        return found | ({"location": self.location} if self.location else {})


def check_links(urls: Collection[str], allowed: Collection[Network], user_agent: str) -> list[dict[str, Any]]:
    """Open the links, a few at a time, and return the results in the same order."""
    deadline = Deadline(CHECK_SECONDS)
    open_one = partial(_open_in_time, deadline=deadline, allowed=allowed, user_agent=user_agent)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="links") as pool:
        return [answer.describe(url) for url, answer in zip(urls, pool.map(open_one, urls), strict=True)]


def _open_in_time(url: str, deadline: Deadline, allowed: Collection[Network], user_agent: str) -> Answer:
    try:
        seconds = min(LINK_SECONDS, deadline.left())
    except TimeoutError:
        return Answer(LinkOutcome.NOT_CHECKED)
    return open_link(url, allowed, user_agent, seconds)


def open_link(
    url: str, allowed: Collection[Network], user_agent: str, seconds: float = LINK_SECONDS
) -> Answer:
    """Open a link and follow its redirects."""
    deadline = Deadline(seconds)
    current, is_permanent = url, True
    try:
        for _hop in range(MOST_REDIRECTS + 1):
            target = parse_target(current)
            status, location = _request_head(target, allowed, user_agent, deadline)
            if status not in REDIRECTS or not location:
                moved = current if is_permanent and current != url else ""
                return Answer(_judge(status, has_moved=bool(moved)), status, moved)
            current = urljoin(current, location)[:MAX_URL]
            is_permanent = is_permanent and status in PERMANENT
    except (NotAllowed, NotPublic):
        return Answer(LinkOutcome.NOT_ALLOWED)
    except (OSError, ValueError, ResponseTooLong, http.client.HTTPException):
        return Answer(LinkOutcome.NO_ANSWER)
    return Answer(LinkOutcome.NO_ANSWER, status)  # the redirects do not end


def _judge(status: int, *, has_moved: bool) -> LinkOutcome:
    if status in GONE:
        return LinkOutcome.NOT_FOUND
    if status >= 500:
        return LinkOutcome.SERVER_ERROR
    if status >= 400:
        return LinkOutcome.REFUSED
    return LinkOutcome.MOVED if has_moved else LinkOutcome.OK


def _request_head(
    target: Target, allowed: Collection[Network], user_agent: str, deadline: Deadline
) -> tuple[int, str]:
    """Return the code and the Location of a response; GET follows if the server refuses HEAD."""
    status, location = _exchange("HEAD", target, allowed, user_agent, deadline)
    if status < 400:
        return status, location
    return _exchange("GET", target, allowed, user_agent, deadline)


def _exchange(
    method: str, target: Target, allowed: Collection[Network], user_agent: str, deadline: Deadline
) -> tuple[int, str]:
    headers = {
        "Host": target.host_header,
        "User-Agent": user_agent,
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    connected = connect(
        target.host, target.port, is_encrypted=target.is_encrypted, allowed=allowed, deadline=deadline
    )
    try:
        write(connected, write_head(method, target.path, headers), deadline)
        readable: Any = ReadableSocket(connected, deadline, MOST_HEADER_BYTES)
        response = http.client.HTTPResponse(readable, method=method)
        response.begin()
        return response.status, response.headers.get("Location", "").strip()
    finally:
        connected.close()
