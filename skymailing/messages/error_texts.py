"""Explain template errors in the language of the page."""

from typing import Any

from flask_babel import gettext as _

from skymailing.delivery.rendering.liquid_tags import MAX_TAG_LENGTH, TemplateError


def explain_template_error(error: TemplateError, *, with_line: bool = True) -> str:
    """Return what is wrong with a template, at which tag and on which line."""
    text: Any = _(error.message)
    if error.params:
        text = text % error.params
    if error.tag:
        text = f"{text}: {error.tag[:MAX_TAG_LENGTH]}"
    if with_line and error.line:
        text = _("Line %(line)s: %(problem)s.", line=error.line, problem=text)
        return str(text)
    return f"{text}."
