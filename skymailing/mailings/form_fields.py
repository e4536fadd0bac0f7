"""Fields and choices of the mailing form."""

from enum import StrEnum
from typing import Any, TypeVar

from flask import current_app
from flask_babel import gettext as _
from flask_babel import ngettext
from wtforms import Field, SelectChoice, SelectMultipleField
from wtforms.widgets import CheckboxInput

from skymailing.mailings.selection import Selection, SelectionTooComplex, UnreadableSelection
from skymailing.web.error_texts import explain
from skymailing.web.labels import state_label

E = TypeVar("E", bound=StrEnum)


class SelectionField(Field):
    """Client IDs (each value is `7`, `7-300` or `7,9-12`), or values written by `Selection.to_values`."""

    def process_formdata(self, values: list[str]) -> None:
        self.data: Selection = Selection()
        try:
            selection = Selection.parse(values)
            selection.check_complexity()
            self.data = selection
        except (UnreadableSelection, SelectionTooComplex) as error:
            raise ValueError(explain(error)) from error


class DaysField(SelectMultipleField):
    """Days of the week as check boxes."""

    option_widget = CheckboxInput()


class PartsField(SelectMultipleField):
    """Segments and tags as check boxes; the services check whether the owner has them."""

    option_widget = CheckboxInput()

    def __init__(self, label: Any, **options: Any) -> None:
        super().__init__(label, validate_choice=False, choices=[], **options)


def list_choices(enum: type[StrEnum]) -> list[SelectChoice]:
    """Return a choice for every member of an enum, with its label."""
    return [SelectChoice(item.value, state_label(item)) for item in enum]


def read_choice(field: Field, default: E) -> E:
    """Return the chosen member of the enum of `default`, or `default` if the value is not a member."""
    enum = type(default)
    return enum(field.data) if field.data in set(enum) else default


def name_missing(part: str) -> str:
    """Return the label of a segment or tag that does not exist."""
    name: str = _("%(name)s (not found)", name=part.partition(":")[2] or part)
    return name


def explain_duplicates() -> str:
    """Explain how many letters may arrive twice: one for each session with the mail server."""
    config = current_app.config
    sentence: str = ngettext(
        "If the mail server restarts or a connection drops, %(num)d email may be unclear. If it is sent "
        "again, it may arrive twice.",
        "If the mail server restarts or a connection drops, up to %(num)d emails may be unclear. If they are "
        "sent again, they may arrive twice.",
        max(1, config["WORKERS"]) * config["MAIL_MAX_DISTANT_CONNECTIONS"],
    )
    return sentence
