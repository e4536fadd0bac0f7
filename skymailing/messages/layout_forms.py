"""The layout form."""

import hashlib

from flask import request
from flask_babel import get_locale, lazy_pgettext
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import HiddenField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from skymailing.delivery.audience.flags import check_flags
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.composition.layouts import LAYOUT_FORMATS, read_layout
from skymailing.delivery.rendering.content import Content, TemplateError, check_content, clean
from skymailing.messages.error_texts import explain_source_error, explain_template_error
from skymailing.messages.layouts import make_sample
from skymailing.models import Layout, SourceFormat, User
from skymailing.models.layout import LAYOUT_NAME_MAX_LENGTH


def read_layout_format(name: str | None) -> SourceFormat:
    return SourceFormat(name) if name in LAYOUT_FORMATS else SourceFormat.BLOCKS


def read_typed_layout(owner: User) -> Content:
    """Return a sample message with the layout that the editor sends; raises InvalidSource."""
    format, source = read_layout_format(request.form.get("source_format")), request.form.get("source", "")
    read_layout(format, clean(source))
    return make_sample(owner, Layout(name="", format=format, body=clean(source)), get_locale().language)


def make_stamp(layout: Layout) -> str:
    """Return a stamp that changes with each change of the layout's values in the form."""
    return hashlib.sha256(f"{layout.name}\0{layout.format}\0{layout.body}".encode()).hexdigest()[:32]


class LayoutForm(FlaskForm):
    """A new or existing layout."""

    name = StringField(
        lazy_pgettext("layout", "Name"),
        [InputRequired(_l("Enter a name.")), Length(max=LAYOUT_NAME_MAX_LENGTH)],
    )
    source_format = HiddenField()
    seen = HiddenField()  # the stamp of the layout when the page was opened; programs may omit it
    source = TextAreaField(
        _l("Design"),
        [InputRequired(_l("Enter the text."))],
        filters=[lambda text: clean(text) if text else text],
    )

    def __init__(self, owner: User, **options: object) -> None:
        super().__init__(**options)
        self.owner = owner

    def is_stale(self, layout: Layout) -> bool:
        """Return whether another window has changed the layout; later calls accept the change."""
        current, seen = make_stamp(layout), self.seen.data
        self.seen.data, self.seen.raw_data = current, None
        return bool(seen) and seen != current

    def validate(self, extra_validators: object = None) -> bool:
        self.source_format.data = read_layout_format(self.source_format.data).value
        if not super().validate(extra_validators):
            return False
        source = self.source.data or ""
        try:
            read_layout(SourceFormat(self.source_format.data), source)
            layout = Layout(name="", format=self.source_format.data, body=source)
            check_content(sample := make_sample(self.owner, layout, get_locale().language))
            check_flags(self.owner, sample)
        except InvalidSource as error:
            self.source.errors = [*self.source.errors, explain_source_error(error)]
        except TemplateError as error:
            self.source.errors = [*self.source.errors, explain_template_error(error, with_line=False)]
        return not self.source.errors
