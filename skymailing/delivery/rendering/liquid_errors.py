"""Explain Liquid errors: the problem, its tag, and the solution."""

import re

from liquid import Environment
from liquid.exceptions import LiquidError, LiquidSyntaxError, ResourceLimitError

from skymailing.delivery.rendering.liquid_tags import (
    N_,
    NAME,
    Tag,
    TemplateError,
    find_tags,
    find_unclosed,
    line_at,
)

# The library's error messages for a block that does not end where it should, and for an unknown tag.
NO_END = re.compile(r"expected tag end|unexpected tag 'end")
PLAIN_ENVIRONMENT = Environment()
NO_TAG = re.compile(r"unexpected tag '([^']{1,50})'")
TOO_EXPENSIVE = N_("The template is too expensive to render: shorten a loop, a range or the output")
UNREADABLE = N_(
    "There is an error here: check the names, quotes, colons and commas, "
    "or insert the placeholder from the menu again"
)
UNUSABLE = N_("A filter or a comparison cannot work with this value")
DIVISION = N_("A number cannot be divided by zero")


def find_tag(source: str, index: int) -> Tag | None:
    """Return the tag at `index` in the source."""
    return next((tag for tag in find_tags(source) if tag.start <= index < tag.end), None)


def find_unreadable(source: str) -> Tag | None:
    """Return the first output tag that cannot be parsed; for errors without a position."""
    for tag in find_tags(source):
        try:
            if tag.is_output:
                PLAIN_ENVIRONMENT.from_string(tag.text)
        except LiquidError:
            return tag
    return None


def explain(error: LiquidError, source: str, *, is_typed: bool = True) -> TemplateError:
    """Convert an error from the library; the line is known if the author typed the source."""
    if NO_END.search(str(error.message)) and (tag := find_unclosed(source)):
        name = NAME.match(tag.text)
        return TemplateError(
            N_("%(opening)s is not closed by %(closing)s"),
            line_at(source, tag.start),
            opening=tag.text,
            closing=f"{{% end{name.group(1) if name else ''} %}}",
        )
    index = error.token.start_index if error.token is not None else -1
    found = find_tag(source, index) or find_unreadable(source)
    line = line_at(source, found.start) if is_typed and found else None
    text = found.text if found else ""
    if unknown := NO_TAG.search(str(error.message)):
        return TemplateError(N_("There is no tag “%(name)s”"), line, tag=text, name=unknown[1])
    return TemplateError(describe(error), line, tag=text)


def describe(error: LiquidError) -> str:
    if isinstance(error, ResourceLimitError):
        return TOO_EXPENSIVE
    if "divide by" in str(error.message):
        return DIVISION
    return UNREADABLE if isinstance(error, LiquidSyntaxError) else UNUSABLE
