"""Read JSON strictly: refuse text that other parsers could read differently (RFC 8259, section 4)."""

import json
import math
import re
from typing import Any

from skymailing.api.problems import ApiError

MAX_DEPTH = 64
# Matches at every quote, even that of an unterminated string, so that each byte is read only once.
STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
OPENING = b"[{"
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# A lone surrogate or NUL, which databases cannot store. Both can occur only as escapes.
ESCAPES = re.compile(r"\\u(?:[dD][89a-fA-F]|0000)")


class _Refused(ValueError):
    """JSON that Python would accept, but that we refuse."""


def read_json(data: bytes) -> Any:
    """Return the value in a request's body; raises ApiError."""
    if is_too_deep(data):
        raise ApiError(400, "json_too_deep", limit=MAX_DEPTH)
    try:
        text = data.decode()
        value = json.loads(
            text,
            object_pairs_hook=_refuse_duplicates,
            parse_constant=_refuse_constant,
            parse_float=_read_float,
        )
        if ESCAPES.search(text):
            _check_texts(value)
    except _Refused as error:
        raise ApiError(400, str(error)) from error
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "json_invalid") from error
    return value


def is_too_deep(data: bytes) -> bool:
    """Return whether arrays and objects are nested too deeply, without reading any value."""
    depth = 0
    for bracket in STRINGS.sub(b"", data).translate(None, NO_BRACKETS):
        depth += 1 if bracket in OPENING else -1
        if depth > MAX_DEPTH:
            return True
    return False


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise _Refused("json_duplicate")
    return values


def _refuse_constant(_name: str) -> Any:
    raise _Refused("json_constant")


def _read_float(text: str) -> float:
    """Return a number; refuse one such as 1e400, which would become infinity."""
    number = float(text)
    if math.isinf(number):
        raise _Refused("json_constant")
    return number


def _check_texts(value: Any) -> None:
    """Raise ValueError for a character that cannot be stored."""
    text = json.dumps(value, ensure_ascii=False)
    text.encode()
    if "\\u0000" in text.replace("\\\\", ""):  # without escaped backslashes
        raise _Refused("json_nul")
