"""Decide whether a request for a link or a tracking image comes from a person or from a machine.

Only the verdict is kept, not the IP address or the browser. A scanner that follows all links at once cannot
be recognized by a single request; `bursts` recognizes it later.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache

from werkzeug.datastructures import Headers

# The proxies through which webmail loads images when a person opens a letter, and mail programs. Lists of
# crawlers include most of them.
IMAGE_PROXY = re.compile(
    r"GoogleImageProxy|YahooMailProxy|YandexImageResizer|Mail\.Ru\b|Microsoft Office|Microsoft Outlook|"
    r"Outlook-(?:iOS|Android)|MSOffice|Thunderbird",
    re.IGNORECASE,
)
# Apple's Mail Privacy Protection loads all images in advance, whether or not the letter is opened.
APPLE_PROXY = re.compile(r"Mozilla/5\.0|Mozilla/5\.0 \([^()]*\) AppleWebKit/[\d.]+ \(KHTML, like Gecko\)")
PREFETCH_HEADERS = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
PREFETCH = re.compile("prefetch|prerender|preview", re.IGNORECASE)
Sent = Mapping[str, str] | Headers
MAX_AGENT_LENGTH = 500  # examined characters


class Visitor(StrEnum):
    """The kind of visitor that made a request."""

    PERSON = "p"
    MACHINE = "m"
    APPLE = "a"  # Apple's proxy, which loads images in advance: neither a person nor a machine


def judge_click(headers: Sent) -> Visitor:
    """Return the kind of visitor that followed a link with these request headers (of a GET request)."""
    return _judge(headers.get("User-Agent", ""), headers, is_image=False)


def judge_open(headers: Sent) -> Visitor:
    """Return the kind of visitor that loaded a tracking image with these request headers."""
    return _judge(headers.get("User-Agent", ""), headers, is_image=True)


def _judge(agent: str, headers: Sent, *, is_image: bool) -> Visitor:
    agent = agent.strip()[:MAX_AGENT_LENGTH]
    if not agent or any(PREFETCH.search(headers.get(name, "")) for name in PREFETCH_HEADERS):
        return Visitor.MACHINE
    if is_image and IMAGE_PROXY.search(agent):
        return Visitor.PERSON
    if is_image and APPLE_PROXY.fullmatch(agent):
        return Visitor.APPLE
    return Visitor.MACHINE if is_crawler(agent) else Visitor.PERSON


@lru_cache(maxsize=4096)
def is_crawler(agent: str) -> bool:
    """Return whether a user agent is that of a known crawler, scanner or program."""
    from crawlerdetect import CrawlerDetect  # slow to import, so commands avoid it

    return bool(CrawlerDetect().is_crawler(agent))
