"""Recognize the kind of device on which a link was clicked.

Only sums for all recipients of a run are kept.
"""

import re
from enum import StrEnum
from functools import lru_cache

from skymailing.tracking.machines import MAX_AGENT_LENGTH, Sent

# Android tablets lack the word "Mobile"; an iPad with Safari looks like a Mac.
TABLET = re.compile(r"iPad|Tablet|PlayBook|Kindle|Silk/|Android(?!.*Mobile)", re.IGNORECASE)
PHONE = re.compile(r"Mobi|iPhone|iPod|Android|Windows Phone|Opera Mini|BlackBerry", re.IGNORECASE)
COMPUTER = re.compile(r"Windows NT|Macintosh|X11|CrOS", re.IGNORECASE)


class Device(StrEnum):
    PHONE = "p"
    TABLET = "t"
    COMPUTER = "c"
    UNKNOWN = ""


def find_device(headers: Sent) -> Device:
    """Return the kind of device that sent these request headers."""
    return _find(headers.get("User-Agent", "")[:MAX_AGENT_LENGTH])


@lru_cache(maxsize=4096)
def _find(agent: str) -> Device:
    if TABLET.search(agent):
        return Device.TABLET
    if PHONE.search(agent):
        return Device.PHONE
    return Device.COMPUTER if COMPUTER.search(agent) else Device.UNKNOWN
