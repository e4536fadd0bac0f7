"""Show a block only to some clients: its condition, and the Liquid that evaluates it in each letter.

Letters know a client's name, address and attributes, and which of the tags and segments in their conditions
the client has (`rendering/flags.py`). They do not know topics.
"""

import re
from dataclasses import dataclass
from typing import Any

from skymailing.delivery.composition.checks import Field, one_of, read_object, text
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.rendering.flags import SEGMENT, TAG

ATTRIBUTE_PREFIX = "attribute."
# The fields of segments that letters know, as Liquid.
PATHS = {"name": "name", "email": "email"}
MAX_VALUE = 200  # characters
# Characters that would end the tag or its string, or split the tag into lines.
UNWRITABLE = re.compile(r"\{\{|\}\}|\{%|%\}|\n")
KEY = re.compile(r"""[^"'\[\]{}%\x00-\x1f]{1,100}""")
# The operators of segments that Liquid has, by name.
TEMPLATES = {
    "equals": "{path} == {value}",
    "not_equals": "{path} != {value}",
    "contains": "{path} contains {value}",
    "gt": "{path} > {value}",
    "lt": "{path} < {value}",
    "is_set": "{path}",
    "is_empty": "{path}",
}
# The operators of tags and segments, whose values are a name and an ID.
MEMBERSHIPS = {"in": "if", "not_in": "unless"}
MEMBERSHIP_FIELDS = {"tag": TAG, "segment": SEGMENT}
# These compare numbers, because 9 would be greater than 18 as text, or dates if the attribute contains dates.
ORDERING = frozenset({"gt", "lt"})
NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,6})?")
WITHOUT_VALUE = frozenset({"is_set", "is_empty"})
FIELDS = {
    "field": Field(text(120)),
    "op": Field(one_of(*TEMPLATES, *MEMBERSHIPS)),
    "value": Field(text(MAX_VALUE)),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of a client's value, or a check whether the client has a tag or is in a segment."""

    path: str
    op: str
    value: str

    @property
    def tags(self) -> tuple[str, str]:
        """The Liquid tags before and after content for clients who meet the condition."""
        if statement := MEMBERSHIPS.get(self.op):
            return f"{{% {statement} {self.path} %}}", f"{{% end{statement} %}}"
        is_number = self.op in ORDERING and NUMBER.fullmatch(self.value)
        value = self.value if is_number else _quote(self.value)
        expression = TEMPLATES[self.op].format(path=self.path, value=value)
        if self.op == "is_empty":
            return f"{{% unless {expression} %}}", "{% endunless %}"
        return f"{{% if {expression} %}}", "{% endif %}"


def read_condition(data: Any, pointer: str) -> Condition | None:
    """Return the condition in parsed JSON; None if there is none."""
    if data is None:
        return None
    values = read_object(data, pointer, FIELDS)
    field, op, value = values["field"], values["op"], values["value"]
    if op == "":
        raise InvalidSource("design_choice", f"{pointer}/op", values=", ".join([*TEMPLATES, *MEMBERSHIPS]))
    if op not in WITHOUT_VALUE and not value.strip():
        raise InvalidSource("design_condition_empty", f"{pointer}/value")
    if UNWRITABLE.search(value) or ('"' in value and "'" in value):
        raise InvalidSource("design_condition_value", f"{pointer}/value")
    if (field in MEMBERSHIP_FIELDS) != (op in MEMBERSHIPS):
        known = MEMBERSHIPS if field in MEMBERSHIP_FIELDS else TEMPLATES
        raise InvalidSource("design_choice", f"{pointer}/op", values=", ".join(known))
    if field in MEMBERSHIP_FIELDS:
        return Condition(f"{MEMBERSHIP_FIELDS[field]}[{_quote(value.strip().lower())}]", op, value)
    return Condition(_find_path(field, f"{pointer}/field"), op, value)


def _find_path(field: str, pointer: str) -> str:
    key = field.removeprefix(ATTRIBUTE_PREFIX)
    if field in PATHS:
        return PATHS[field]
    if key == field or not KEY.fullmatch(key):
        raise InvalidSource("design_condition_field", pointer)
    return f'client["{key}"]'


def _quote(value: str) -> str:
    return f"'{value}'" if '"' in value else f'"{value}"'
