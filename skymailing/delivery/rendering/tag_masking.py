"""Hide Liquid tags from converters such as Markdown, and restore them afterwards."""

import re

from skymailing.delivery.rendering.liquid_tags import Tag, find_tags


class MaskedSource:
    """A source whose Liquid tags are replaced by words that a converter does not change."""

    def __init__(self, source: str) -> None:
        self.tags: list[Tag] = list(find_tags(source))
        number = 0
        while f"lq{number}x" in source.lower():
            number += 1
        self.mark = f"lq{number}x"
        # Patterns: the word for an output, and a sequence of words for statements.
        self.output = self.mark + r"o\d+q"
        self.statements = rf"(?:{self.mark}s\d+q[ ]{{0,9}})+"
        pieces: list[str] = []
        end = 0
        for index, tag in enumerate(self.tags):
            kind = "o" if tag.is_output else "s"
            pieces += source[end : tag.start], f"{self.mark}{kind}{index}q"
            end = tag.end
        self.text = "".join(pieces) + source[end:]

    def find_tag(self, word: str) -> Tag:
        """Return the tag that `word` replaces."""
        return self.tags[int(word[len(self.mark) + 1 : -1])]

    def unmask(self, text: str) -> str:
        """Restore the tags in `text`."""
        return re.sub(self.mark + r"[os]\d+q", lambda word: self.find_tag(word.group()).text, text)

    def unmask_converted(self, text: str, brace: str) -> str:
        """Restore the tags; write braces added by the conversion as `brace`, so that they remain text."""
        return self.unmask(re.sub(r"\{(?=[{%])", lambda _: brace, text))
