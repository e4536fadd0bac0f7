"""Compose the HTML of a message from its source: a document of blocks, MJML, or a text with a layout."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from skymailing.delivery.composition.document import Block, Document, parse_json, read_document
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.composition.layouts import Frame, write_part
from skymailing.delivery.composition.mjml_source import compile_mjml
from skymailing.delivery.composition.page import write_page, write_rows
from skymailing.delivery.composition.palette import ACCENT, OwnerBrand, Palette
from skymailing.delivery.rendering.content import MAX_BODY
from skymailing.models import SourceFormat

# The fields of blocks that contain text.
TEXT_FIELDS = ("text", "title", "button")


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a message, as its author wrote it; its language is guessed from `text`."""

    format: SourceFormat
    text: str
    document: Document | None = None

    def compose(self, brand: OwnerBrand, language: str, frame: Frame | None = None) -> str:
        """Return the HTML body of the message; raises InvalidSource, or TemplateError for an error in a text.

        `language` is that of the words that blocks add, such as "Unsubscribe". A source in Markdown or HTML
        needs a frame.
        """
        if frame is not None:
            html = self.fill(frame, brand, language)
        elif self.document is None:
            html = compile_mjml(self.text, language)
        else:
            palette = Palette.choose(self.document.settings, brand)
            html = write_page(self.document, palette, brand, language)
        if len(html) > MAX_BODY:
            raise InvalidSource("design_letter_too_long", limit=MAX_BODY)
        return html

    def fill(self, frame: Frame, brand: OwnerBrand, language: str) -> str:
        """Return the page of a layout with this content."""
        if frame.document is not None:
            palette = Palette.choose(frame.document.settings, brand)
            if self.document is not None:
                return write_page(frame.surround(self.document), palette, brand, language)
            part = write_part(self.format, self.text, palette.link, language)
            return write_page(frame.document, palette, brand, language, part)
        if self.document is not None:
            palette = Palette.choose(self.document.settings, brand)
            return frame.insert(write_rows(self.document, palette, brand, language))
        return frame.insert(write_part(self.format, self.text, ACCENT, language))


def read_source(source_format: SourceFormat, source: str) -> Source:
    """Read a stored or submitted source; raises InvalidSource."""
    if source_format is not SourceFormat.BLOCKS:
        return Source(source_format, source)
    document = read_document(parse_json(source))
    return Source(source_format, find_text(document), document=document)


def write_design(data: Any) -> str:
    """Return a design as it is stored."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def find_text(document: Document) -> str:
    """Return the texts of a document, in the order of its blocks."""
    return "\n".join(text for block in document.walk() for text in _list_texts(block))


def _list_texts(block: Block) -> Iterator[str]:
    yield from (block.fields[name] for name in TEXT_FIELDS if name in block.fields)
    for line in block.fields.get("delta", ()):
        yield "".join(piece.text for piece in line.pieces)
