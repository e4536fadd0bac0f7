"""Find the Liquid tags in a source in linear time, and report malformed ones.

The library's lexer takes quadratic time on hostile sources, so every source is checked here first.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from skymailing.errors import SkyMailingError

MAX_TAG = 1_000  # characters between {{ and }}
MAX_BRACKETS = 20  # in one tag
MAX_TAG_LENGTH = 100  # characters of a tag that an error message shows


def N_(text: str) -> str:  # noqa: N802 - the name that Babel looks for
    """Mark a string that is translated where it is shown."""
    return text


class TemplateError(SkyMailingError):
    """An error in a template, at `tag`; `line` counts from 1 in the source that the author typed.

    `message % params` is English; a page translates `message` first.
    """

    def __init__(
        self,
        message: str,
        line: int | None = None,
        *,
        tag: str = "",
        in_subject: bool = False,
        **params: str,
    ) -> None:
        super().__init__(f"{message % params}: {tag[:MAX_TAG_LENGTH]}" if tag else message % params)
        self.message = message
        self.line = line
        self.tag = tag
        self.in_subject = in_subject
        self.in_preheader = False
        self.params = params


@dataclass(frozen=True, slots=True)
class Tag:
    """One `{{ output }}` or `{% statement %}` in a source; a raw block counts as one."""

    start: int
    end: int
    text: str

    @property
    def is_output(self) -> bool:
        return self.text.startswith("{{")


def line_at(source: str, index: int) -> int:
    """Return the number, from 1, of the line that contains `index`."""
    return source.count("\n", 0, index) + 1


OPENING = re.compile(r"\{\{|\{%")
RAW = re.compile(r"\{%-?\s{0,99}(raw|doc)\b")
SPACES = re.compile(r"\s{50}")
NAME = re.compile(r"\{%-?\s*(\w+)")
BLOCKS = frozenset({"if", "unless", "case", "for", "capture", "ifchanged"})
END = {name: re.compile(r"\{%-?\s{0,99}end" + name + r"\s{0,99}-?%\}") for name in ("raw", "doc")}


def find_tags(source: str) -> Iterator[Tag]:
    """Yield the tags of `source` in one pass; raises TemplateError if one is not closed."""
    position = 0
    while opening := OPENING.search(source, position):
        start = opening.start()
        closing = "}}" if opening.group() == "{{" else "%}"
        position = source.find(closing, start + 2, start + MAX_TAG)
        if position < 0:
            raise TemplateError(
                N_("%(opening)s is not closed by %(closing)s"),
                line_at(source, start),
                opening=opening.group(),
                closing=closing,
            )
        position += 2
        # With many spaces or deeply nested brackets, the library's parser takes quadratic time.
        if SPACES.search(source, start, position) or source.count("[", start, position) > MAX_BRACKETS:
            raise TemplateError(N_("A placeholder is too long"), line_at(source, start))
        if block := RAW.match(source, start):
            end = END[block.group(1)].search(source, position)
            if end is None:
                raise TemplateError(
                    N_("%(opening)s is not closed by %(closing)s"),
                    line_at(source, start),
                    opening=f"{{% {block.group(1)} %}}",
                    closing=f"{{% end{block.group(1)} %}}",
                )
            position = end.end()
        yield Tag(start, position, source[start:position])


def find_unclosed(source: str) -> Tag | None:
    """Return the innermost block tag that has no end tag."""
    opened: list[Tag] = []
    for tag in find_tags(source):
        name = NAME.match(tag.text)
        if name and name.group(1) in BLOCKS:
            opened.append(tag)
        elif name and name.group(1).startswith("end") and opened:
            expected = NAME.match(opened[-1].text)
            if expected and name.group(1) != f"end{expected.group(1)}":
                break
            opened.pop()
    return opened[-1] if opened else None
