"""The content of a message as its author wrote it."""

from dataclasses import dataclass, replace
from typing import Protocol

from skymailing.delivery.rendering.attachments import AttachedFile
from skymailing.delivery.rendering.preheader import add_preheader
from skymailing.models import Message, MessageDraft, MessageFormat, MessageTemplate, SourceFormat


class HasContent(Protocol):
    """A row that contains the content of a letter."""

    @property
    def subject(self) -> str: ...
    @property
    def format(self) -> MessageFormat: ...
    @property
    def body(self) -> str: ...
    @property
    def language(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Content:
    """The subject and body as the author wrote them."""

    subject: str
    format: MessageFormat
    body: str
    # One of LANGUAGES; empty for a message of an earlier version, whose language is guessed.
    language: str = ""
    # Whether a way to unsubscribe is added; transactional letters have none.
    has_footer: bool = True
    # Only where letters are sent.
    files: tuple[AttachedFile, ...] = ()
    # What the body was composed from, if its author did not write it; runs do not store it.
    source_format: SourceFormat = SourceFormat.NONE
    source: str = ""
    # Shown after the subject in lists of letters; runs have it in their body.
    preheader: str = ""
    # The layout that is part of the body; runs do not store it.
    layout_id: int | None = None

    @classmethod
    def of(cls, source: "HasContent") -> "Content":
        """Return the content of a message, a draft or a run."""
        preheader = source.preheader if isinstance(source, Message | MessageDraft | MessageTemplate) else ""
        return cls(source.subject, source.format, source.body, source.language, preheader=preheader)

    @property
    def sent_body(self) -> str:
        """The body with the preheader, as runs store it; raises TemplateError."""
        return add_preheader(self.body, self.format, self.preheader)

    @classmethod
    def with_source(cls, row: Message | MessageDraft | MessageTemplate) -> "Content":
        """Return the content of a message, a draft or a template, with the source of its body."""
        source_format, source = row.current_source
        layout_id = row.layout_id if source_format else None
        return replace(cls.of(row), source_format=source_format, source=source, layout_id=layout_id)

    @property
    def texts(self) -> tuple[str, str, str]:
        """The subject, preheader and body, as the author wrote them."""
        return self.subject, self.preheader, self.body

    @property
    def columns(self) -> dict[str, object]:
        """The values of the columns in which messages and templates store the content."""
        names = ("subject", "preheader", "format", "body", "language", "source_format", "source", "layout_id")
        return {name: getattr(self, name) for name in names}

    def write_to(self, message: Message) -> None:
        """Store the content in a message whose version has already been increased."""
        for name, value in self.columns.items():
            setattr(message, name, value)
        message.version = message.version or 1  # a new message has no version yet
        message.source_version = message.version if self.source_format else None
