"""Explain template errors in the language of the page."""

from typing import Any

from flask_babel import gettext as _

from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.rendering.liquid_tags import MAX_TAG_LENGTH, TemplateError
from skymailing.web.error_texts import explain


def explain_template_error(error: TemplateError, *, with_line: bool = True) -> str:
    """Return a text about an error in a template, with its tag and line."""
    text: Any = _(error.message)
    if error.params:
        text = text % error.params
    if error.tag:
        text = f"{text}: {error.tag[:MAX_TAG_LENGTH]}"
    if with_line and error.line:
        text = _("Line %(line)s: %(problem)s.", line=error.line, problem=text)
        return str(text)
    return f"{text}."


def explain_source_error(error: InvalidSource, *, with_place: bool = True) -> str:
    """Return a text about an error in a design or an MJML source, with its location."""
    text = explain_template_error(error.template, with_line=False) if error.template else explain(error)
    if with_place and error.line:
        problem = text.removesuffix(".")
        return str(_("Line %(line)s: %(problem)s.", line=error.line, problem=problem))
    if with_place and error.pointer:
        return f"{error.pointer}: {text}"
    return text
