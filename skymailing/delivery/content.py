"""What an author wrote, compiled."""

from dataclasses import dataclass

from skymailing.errors import SkyMailingError
from skymailing.models import MessageFormat


class TemplateError(SkyMailingError):
    """A letter's template is wrong; `line` counts from 1 in what the author typed."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(frozen=True, slots=True)
class Content:
    """Subject and body as their author wrote them."""

    subject: str
    format: MessageFormat
    body: str


def check_content(content: Content) -> None:
    """Raise TemplateError, with the line, when the content cannot be rendered."""
    raise NotImplementedError
