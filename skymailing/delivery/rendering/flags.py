"""Conditions of letters on the recipient's tags and segments: `has_tag["vip"]`, `in_segment["12"]`.

A flag is such a path. The flags that hold for a recipient are found before the letter is rendered
(`audience/flags.py`), for all letters of a window at once.
"""

from collections.abc import Iterable

Flag = tuple[str, str]
Flags = frozenset[Flag]

TAG, SEGMENT = "has_tag", "in_segment"
FLAG_NAMES = (TAG, SEGMENT)
NO_FLAGS: Flags = frozenset()


def find_flags(paths: Iterable[tuple[str, ...]]) -> list[Flag]:
    """Return the flags among the values that a template uses."""
    return sorted({(path[0], path[1]) for path in paths if len(path) == 2 and path[0] in FLAG_NAMES})


def make_flag_values(flags: Flags) -> dict[str, object]:
    """Return the values of a recipient for whom these flags hold; other flags are missing and thus false."""
    return {kind: {key: True for name, key in flags if name == kind} for kind in FLAG_NAMES}
