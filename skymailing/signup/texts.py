"""Texts of a form, with defaults in the form's language for texts that its owner left empty.

Call these functions with the form's language active (`force_locale`).
"""

from dataclasses import dataclass

from flask_babel import gettext as _

from skymailing.models import SignupForm


@dataclass(frozen=True, slots=True)
class FormTexts:
    """The texts on the pages of a form."""

    title: str
    button: str
    thanks: str
    tracking: str  # next to the check box that allows us to count opens


def read_texts(form: SignupForm) -> FormTexts:
    """Return the texts of a form in the current language."""
    return FormTexts(
        title=form.title or _("Subscribe to our emails"),
        button=form.button or _("Subscribe"),
        thanks=form.thanks_text or _("Thank you! You will receive our next email."),
        tracking=form.tracking_text or _("You may record whether I open these emails."),
    )
