"""The error for invalid sources of composed messages."""

from skymailing.delivery.rendering.liquid_tags import TemplateError
from skymailing.errors import UserError


class InvalidSource(UserError):
    """A design or an MJML source cannot be composed.

    `pointer` is the JSON pointer of the value in a design, or empty; `line` is the line in an MJML source,
    counted from 1; `template` is the error in a Liquid template, if that is the reason.
    """

    def __init__(
        self,
        code: str,
        pointer: str = "",
        *,
        line: int | None = None,
        template: TemplateError | None = None,
        **values: object,
    ) -> None:
        super().__init__(code, **values)
        self.pointer = pointer
        self.line = line
        self.template = template
