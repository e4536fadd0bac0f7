"""Make the content of messages whose body is composed: of blocks, or from MJML."""

from collections.abc import Callable
from dataclasses import replace

from skymailing.delivery.composition.brands import find_owner_brand
from skymailing.delivery.composition.composing import read_source
from skymailing.delivery.composition.document import MAX_SIZE
from skymailing.delivery.rendering.content import Content
from skymailing.extensions import db
from skymailing.models import MessageFormat, SourceFormat, User

LanguageChoice = Callable[[str], str]


def make_composed(
    owner: User, subject: str, source_format: SourceFormat, source: str, choose_language: LanguageChoice
) -> Content:
    """Return the content of a message with its composed body; raises InvalidSource.

    `choose_language` returns the language of a message with this text.
    """
    read = read_source(source_format, source)
    language = choose_language(subject + read.text)
    body = read.compose(find_owner_brand(db.session, owner), language)
    return _make(subject, body, language, source_format, source)


def make_unfinished(subject: str, source_format: SourceFormat, source: str, language: str) -> Content:
    """Return the content of a draft whose source has an error, without a body."""
    return _make(subject, "", language, source_format, source[:MAX_SIZE])


def _make(subject: str, body: str, language: str, source_format: SourceFormat, source: str) -> Content:
    content = Content(subject, MessageFormat.HTML, body, language)
    return replace(content, source_format=source_format, source=source)
