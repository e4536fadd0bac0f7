"""Show a block only to some clients: its condition, and the Liquid that evaluates it in each letter.

Letters know a client's name, address and attributes. They do not know segments, tags or topics: a query for
each letter would slow down sending.
"""

import re
from dataclasses import dataclass
from typing import Any

from skymailing.delivery.composition.checks import Field, one_of, read_object, text
from skymailing.delivery.composition.errors import InvalidSource

ATTRIBUTE_PREFIX = "attribute."
# The fields of segments that letters know, as Liquid.
PATHS = {"name": "name", "email": "email"}
MAX_VALUE = 200  # characters
# What would end the tag or the string in it, or break the tag into lines.
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
# As texts, 9 would be more than 18; dates are compared as dates if the attribute has this type.
ORDERING = frozenset({"gt", "lt"})
NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,6})?")
WITHOUT_VALUE = frozenset({"is_set", "is_empty"})
FIELDS = {
    "field": Field(text(120)),
    "op": Field(one_of(*TEMPLATES)),
    "value": Field(text(MAX_VALUE)),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of one of the client's values."""

    path: str
    op: str
    value: str

    @property
    def tags(self) -> tuple[str, str]:
        """The Liquid tags before and after what only clients get for whom the condition holds."""
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
        raise InvalidSource("design_choice", f"{pointer}/op", values=", ".join(TEMPLATES))
    if op not in WITHOUT_VALUE and not value.strip():
        raise InvalidSource("design_condition_empty", f"{pointer}/value")
    if UNWRITABLE.search(value) or ('"' in value and "'" in value):
        raise InvalidSource("design_condition_value", f"{pointer}/value")
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
