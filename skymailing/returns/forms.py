"""The form that filters returned letters."""

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import SearchField, SelectField
from wtforms.validators import Length

from skymailing.models import BounceKind
from skymailing.web.form_fields import strip
from skymailing.web.labels import state_label

UNCLEAR = "unclear"


class ReturnFilterForm(FlaskForm):
    """A filter in the query string, so without a CSRF token."""

    class Meta:
        csrf = False

    q = SearchField(_l("Address"), [Length(max=320)], filters=[strip])
    kind = SelectField(_l("Reason"), default="")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.kind.choices = [
            ("", _("all reasons")),
            (UNCLEAR, _("needs your decision")),
            *((kind.value, state_label(kind)) for kind in BounceKind),
        ]
