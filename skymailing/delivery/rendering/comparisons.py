"""Compare numbers and dates in letters by value, without raising errors.

A client's values are strings. The library raises an error when it compares a string with a number.
"""

from typing import Any

from liquid.builtin.expressions import logical
from liquid.builtin.tags import case_tag
from liquid.undefined import is_undefined

from skymailing.delivery.rendering.values import YesNoText, align, is_number

equals, is_less, is_less_or_equal = logical._eq, logical._lt, logical._le


def compare_equal(left: Any, right: Any) -> bool:
    """Compare two values with ==."""
    for one, other in ((left, right), (right, left)):
        if isinstance(one, YesNoText) and isinstance(other, str):
            return str(one) == str(other)
    if equals(left, right):
        return True
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    one, other = align(left, right)
    return (one is not left or other is not right) and equals(one, other)


def compare_less(token: Any, left: Any, right: Any) -> bool:
    """Compare two values with <; return False if they cannot be compared."""
    one, other = align(left, right)
    return can_be_ordered(one, other) and is_less(token, one, other)


def compare_less_or_equal(left: Any, right: Any) -> bool:
    """Compare two values with <=; return False if they cannot be compared."""
    one, other = align(left, right)
    return can_be_ordered(one, other) and is_less_or_equal(one, other)


def can_be_ordered(left: object, right: object) -> bool:
    if is_undefined(left) or is_undefined(right):
        return False
    return (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str))


def install() -> None:
    """Make the library compare with these functions; its expressions look them up in their module."""
    logical._eq = case_tag._eq = compare_equal  # type: ignore[attr-defined]
    logical._lt, logical._le = compare_less, compare_less_or_equal
