"""Create the content of messages whose body is composed from blocks or MJML, or with a layout."""

from collections.abc import Callable
from dataclasses import replace

from skymailing.delivery.composition.brands import find_owner_brand
from skymailing.delivery.composition.composing import read_source
from skymailing.delivery.composition.document import MAX_SIZE
from skymailing.delivery.composition.layouts import read_layout
from skymailing.delivery.rendering.content import MAX_BODY, Content
from skymailing.extensions import db
from skymailing.models import COMPOSED_FORMATS, Layout, MessageFormat, SourceFormat, User

LanguageChoice = Callable[[str], str]


def make_composed(
    owner: User,
    subject: str,
    source_format: SourceFormat,
    source: str,
    choose_language: LanguageChoice,
    layout: Layout | None = None,
) -> Content:
    """Return the content of a message with its composed body; raises InvalidSource and TemplateError.

    `choose_language` returns the language of a message with this text.
    """
    read = read_source(source_format, source)
    language = choose_language(subject + read.text)
    frame = read_layout(SourceFormat(layout.format), layout.body) if layout else None
    body = read.compose(find_owner_brand(db.session, owner), language, frame)
    content = _make(subject, body, language, source_format, source)
    return replace(content, layout_id=layout.id if layout else None)


def make_unfinished(
    subject: str, source_format: SourceFormat, source: str, language: str, layout: Layout | None = None
) -> Content:
    """Return the content of a draft whose source has an error, without a body."""
    limit = MAX_SIZE if source_format in COMPOSED_FORMATS else MAX_BODY
    content = _make(subject, "", language, source_format, source[:limit])
    return replace(content, layout_id=layout.id if layout else None)


def _make(subject: str, body: str, language: str, source_format: SourceFormat, source: str) -> Content:
    content = Content(subject, MessageFormat.HTML, body, language)
    return replace(content, source_format=source_format, source=source)
