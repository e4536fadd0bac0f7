"""Explain template errors in the language of the page."""

from typing import Any

from flask_babel import gettext as _

from skymailing.delivery.rendering.liquid_tags import TemplateError


def explain_template_error(error: TemplateError) -> str:
    """Return what is wrong with a template, and on which line."""
    text: Any = _(error.message)
    if error.params:
        text = text % error.params
    return _("Line %(line)s: %(problem)s.", line=error.line, problem=text) if error.line else f"{text}."
