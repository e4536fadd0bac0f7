"""Insert messages into layouts: a layout is the frame that several messages share.

A layout is a design with one content block, or HTML with one `{{ content }}`. A message of blocks becomes
part of a layout's design; other messages become HTML at that place.
"""

import re
from dataclasses import dataclass, replace

from skymailing.delivery.composition.block_types import CONTENT
from skymailing.delivery.composition.document import MAX_SIZE, Document, parse_json, read_document
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.composition.mjml_source import compile_mjml
from skymailing.delivery.composition.page_parts import Part, add_styles, extract_text, split_page
from skymailing.delivery.composition.palette import DARK_LINK
from skymailing.delivery.rendering.content import check_length, convert_markdown, prepare
from skymailing.delivery.rendering.html_pieces import DECLARATION, PIECE, find_broken_tag
from skymailing.delivery.rendering.liquid import parse
from skymailing.delivery.rendering.liquid_tags import NAME, TemplateError, find_tags
from skymailing.delivery.rendering.markdown_page import TEXT_RULES
from skymailing.delivery.rendering.tag_masking import MaskedSource
from skymailing.models import MessageFormat, SourceFormat

LAYOUT_FORMATS = (SourceFormat.BLOCKS, SourceFormat.HTML)
PLACE = re.compile(r"\{\{-?\s{0,99}content\s{0,99}-?\}\}")
# Blocks of Liquid that print the content never, later or several times.
UNUSABLE_BLOCKS = frozenset({"comment", "capture", "for", "tablerow"})
STYLES = """
<style>
{rules}.letter a {{ color: {link}; }}
.letter a.button {{ display: inline-block; padding: 12px 26px; border-radius: 6px; background: {link}; \
color: #ffffff; font-weight: bold; text-decoration: none; }}
@media (prefers-color-scheme: dark) {{
.letter a {{ color: {dark}; }}
.letter a.button {{ color: #ffffff; }}
}}
</style>"""


@dataclass(frozen=True, slots=True)
class Frame:
    """A parsed layout: a design, or HTML before and after the content."""

    document: Document | None = None
    before: str = ""
    after: str = ""

    def surround(self, content: Document) -> Document:
        """Return the layout's design with the blocks of a message."""
        assert self.document is not None
        blocks = self.document.blocks
        index = next(number for number, block in enumerate(blocks) if block.type == CONTENT)
        return replace(self.document, blocks=blocks[:index] + content.blocks + blocks[index + 1 :])

    def insert(self, part: Part) -> str:
        """Return the layout's HTML with the content of a message."""
        return add_styles(self.before, part.styles) + part.html + self.after


def read_layout(format: SourceFormat, source: str) -> Frame:
    """Read a stored or submitted layout; raises InvalidSource."""
    if format is SourceFormat.BLOCKS:
        return Frame(read_document(parse_json(source), is_layout=True))
    if len(source) > MAX_SIZE:
        raise InvalidSource("design_too_large", limit=MAX_SIZE // 1024)
    source = prepare(source)
    try:
        parse(source, escape=False)
        tags = [tag for tag in find_tags(source) if PLACE.fullmatch(tag.text)]
    except TemplateError as error:
        raise InvalidSource("design_template", line=error.line, template=error) from error
    if len(tags) != 1:
        raise InvalidSource("layout_content_twice" if tags else "layout_without_content")
    before, after = source[: tags[0].start], source[tags[0].end :]
    if _is_inside_tag(before, after) or _is_inside_block(before):
        raise InvalidSource("layout_content_place")
    return Frame(before=before, after=after)


def _is_inside_tag(before: str, after: str) -> bool:
    """Return whether the content would be part of a tag, a comment or a style."""
    mark = "\ue000"
    masked = MaskedSource(before + mark + after)
    start = masked.text.partition(mark)[0]
    is_in_broken_tag = find_broken_tag(start) is not None
    found = (*PIECE.finditer(masked.text), *DECLARATION.finditer(masked.text))
    return is_in_broken_tag or any(mark in piece[0] for piece in found)


def _is_inside_block(before: str) -> bool:
    """Return whether the content would be part of a comment, a loop or a captured text of Liquid."""
    names = [name[1] for tag in find_tags(before) if (name := NAME.match(tag.text))]
    return any(names.count(name) > names.count(f"end{name}") for name in UNUSABLE_BLOCKS)


def write_part(format: SourceFormat, source: str, link: str, language: str) -> Part:
    """Return a message that is not made of blocks as part of a page; raises InvalidSource and TemplateError.

    `link` is the colour of links in a text that has no design.
    """
    if format is SourceFormat.MJML:
        return split_page(compile_mjml(source, language))
    source = prepare(source)
    check_length(source, MessageFormat(format))
    text = convert_markdown(source) if format is SourceFormat.MARKDOWN else extract_text(source)
    if text is None:
        return split_page(source)
    styles = STYLES.format(rules=TEXT_RULES, link=link, dark=DARK_LINK)
    return Part(f'<div class="letter">\n{text.strip()}\n</div>', styles)
