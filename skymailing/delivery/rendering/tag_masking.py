"""Liquid tags out of the way of converters, and back in their places."""

import re

from skymailing.delivery.rendering.liquid_tags import Tag, find_tags


class Placeholders:
    """A source whose Liquid tags are replaced by words that a converter leaves alone."""

    def __init__(self, source: str) -> None:
        self.tags: list[Tag] = list(find_tags(source))
        number = 0
        while f"lq{number}x" in source.lower():
            number += 1
        self.mark = f"lq{number}x"
        # Patterns: an output's word, and statements with nothing else on their line.
        self.output = self.mark + r"o\d+q"
        self.statements = rf"(?:{self.mark}s\d+q[ ]{{0,9}})+"
        pieces: list[str] = []
        end = 0
        for place, tag in enumerate(self.tags):
            kind = "o" if tag.is_output else "s"
            pieces += source[end : tag.start], f"{self.mark}{kind}{place}q"
            end = tag.end
        self.source = "".join(pieces) + source[end:]

    def get(self, word: str) -> Tag:
        return self.tags[int(word[len(self.mark) + 1 : -1])]

    def put_back(self, text: str) -> str:
        """Put the tags back."""
        return re.sub(self.mark + r"[os]\d+q", lambda word: self.get(word.group()).text, text)

    def restore(self, text: str, brace: str) -> str:
        """Put the tags back; braces that the conversion has made up are written as `brace`."""
        return self.put_back(re.sub(r"\{(?=[{%])", lambda _: brace, text))
