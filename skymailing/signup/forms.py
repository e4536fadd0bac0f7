"""The page on which an owner edits a sign-up form."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from flask import current_app
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    Field,
    FieldList,
    Form,
    HiddenField,
    SelectField,
    StringField,
    TextAreaField,
    URLField,
    ValidationError,
)
from wtforms import FormField as SubForm
from wtforms.validators import DataRequired, Length

from skymailing.clients.columns import attribute_key
from skymailing.clients.consents import TEXT_MAX_LENGTH
from skymailing.clients.forms import check_with
from skymailing.clients.tags import read_tags
from skymailing.delivery.audience.fields import ATTRIBUTE_KEY
from skymailing.models import SignupForm
from skymailing.models.form import (
    BUTTON_MAX_LENGTH,
    FORM_LINE_MAX_LENGTH,
    FORM_NAME_MAX_LENGTH,
    URL_MAX_LENGTH,
)
from skymailing.signup.fields import ATTRIBUTE_PREFIX, FULL_NAME, LABEL_MAX_LENGTH, MAX_FIELDS, FormField
from skymailing.signup.services import FormValues
from skymailing.web.form_fields import ChoicesField, complete_url, one_line, strip
from skymailing.web.i18n import LANGUAGE_NAMES

PAGE_TEXT_MAX_LENGTH = 5_000
BLANK_ROWS = 2  # for new fields of the client data
SHOWN_ATTRIBUTES = 30


class QuestionForm(Form):
    """One row: a field of the client data, and whether and how the form asks for it."""

    key = HiddenField()
    name = StringField(lazy_pgettext("value", "Name"), [Length(max=LABEL_MAX_LENGTH)], filters=[strip])
    is_asked = BooleanField(_l("Ask"))
    label = StringField(_l("Label"), [Length(max=LABEL_MAX_LENGTH), one_line], filters=[strip])
    is_required = BooleanField(_l("Required"))


def make_text_area_field(label: Any, max_length: int, rows: int, **options: Any) -> TextAreaField:
    return TextAreaField(
        label, [Length(max=max_length)], filters=[strip], render_kw={"rows": rows}, **options
    )


def make_line_field(label: Any, max_length: int, *validators: Any, **options: Any) -> StringField:
    checks = [*validators, Length(max=max_length), one_line]
    return StringField(label, checks, filters=[strip], render_kw={"autocomplete": "off"}, **options)


class SignupFormEditor(FlaskForm):
    """A new or existing sign-up form."""

    name = make_line_field(
        lazy_pgettext("form", "Name"),
        FORM_NAME_MAX_LENGTH,
        DataRequired(_l("Enter a name.")),
        description=_l("Only you can see it."),
    )
    consent_text = make_text_area_field(
        _l("Consent text"),
        TEXT_MAX_LENGTH,
        3,
        description=_l("What people agree to. It is stored with each confirmation as proof."),
    )
    asks_tracking = BooleanField(
        _l("Ask if opens may be counted"),
        description=_l("For mailings that count opens per person. The box is never ticked in advance."),
    )
    tracking_text = make_line_field(_l("Text next to the box"), TEXT_MAX_LENGTH)
    language = SelectField(_l("Language"))
    title = make_line_field(_l("Title"), FORM_LINE_MAX_LENGTH)
    introduction = make_text_area_field(_l("Introduction"), PAGE_TEXT_MAX_LENGTH, 3)
    button = make_line_field(_l("Button"), BUTTON_MAX_LENGTH)
    questions = FieldList(SubForm(QuestionForm))
    tags = StringField(
        _l("Tags"),
        [check_with(read_tags)],
        description=_l("Added to everyone who confirms. Separated by commas."),
        render_kw={"autocomplete": "off", "list": "known-tags"},
    )
    topics = ChoicesField(
        _l("Topics"), coerce=int, choices=[], description=_l("Everyone who confirms is subscribed to these.")
    )
    sender = SelectField(_l("Sender"), coerce=int, default=0)
    confirm_subject = make_line_field(_l("Subject"), FORM_LINE_MAX_LENGTH)
    confirm_body = make_text_area_field(
        _l("Text"),
        PAGE_TEXT_MAX_LENGTH,
        5,
        description=_l("Plain text. The confirmation link follows below it."),
    )
    thanks_text = make_text_area_field(_l("Text after confirmation"), PAGE_TEXT_MAX_LENGTH, 3)
    thanks_url = URLField(
        _l("Redirect to this page"),
        [Length(max=URL_MAX_LENGTH)],
        filters=[strip, complete_url],
        description=_l("A page of your website."),
    )
    is_open = BooleanField(_l("Accept sign-ups"), default=True)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.language.choices = [(code, LANGUAGE_NAMES[code]) for code in current_app.config["LANGUAGES"]]

    def validate_thanks_url(self, field: Field) -> None:
        """Accept only complete https URLs."""
        if field.data and not is_https(field.data):
            raise ValidationError(_("Enter a full address that begins with https://"))

    def validate_questions(self, field: Field) -> None:
        """Reject more questions than anyone would answer."""
        if sum(bool(row.form.is_asked.data) for row in field) > MAX_FIELDS:
            raise ValidationError(_("Ask for at most %(limit)d fields.", limit=MAX_FIELDS))

    def show_questions(self, form: SignupForm | None, attributes: Iterable[str]) -> None:
        """Add a row for each question of the form, each other field of the client data, and new ones."""
        questions = [{**stored, "is_asked": True} for stored in form.fields] if form else []
        keys = {row["key"] for row in questions}
        known = [FULL_NAME, *(ATTRIBUTE_PREFIX + key for key in attributes)][: SHOWN_ATTRIBUTES + 1]
        rows = questions + [{"key": key} for key in known if key not in keys]
        for row in [*rows, *({} for _number in range(BLANK_ROWS))]:
            self.questions.append_entry(row)

    def read_values(self, default_language: str) -> FormValues:
        """Return the validated input."""
        names = (
            *("title", "introduction", "button", "consent_text", "tracking_text", "confirm_subject"),
            *("confirm_body", "thanks_text", "thanks_url"),
        )
        texts = {name: str(self[name].data or "") for name in names}
        return FormValues(
            name=self.name.data or "",
            language=self.language.data or default_language,
            is_open=bool(self.is_open.data),
            asks_tracking=bool(self.asks_tracking.data),
            fields=list(self._read_questions()),
            tags=read_tags(self.tags.data or ""),
            topic_ids=self.topics.data or [],
            sender_id=self.sender.data or None,
            **texts,
        )

    def _read_questions(self) -> Iterable[FormField]:
        seen = set()
        for row in self.questions:
            question = row.form
            key = question.key.data or ""
            name = key.removeprefix(ATTRIBUTE_PREFIX) if key else attribute_key(question.name.data or "")
            if key != FULL_NAME:
                key = ATTRIBUTE_PREFIX + name if ATTRIBUTE_KEY.fullmatch(name) else ""
            if not key or key in seen or not (question.is_asked.data or not question.key.data):
                continue
            seen.add(key)
            default = question.name.data or name_question(key)
            yield FormField(key, question.label.data or default, bool(question.is_required.data))


def name_question(key: str) -> str:
    """Return the default label of a question; an attribute's key is turned into words."""
    if key == FULL_NAME:
        return str(_("Name"))
    name = key.removeprefix(ATTRIBUTE_PREFIX).replace("_", " ").strip() or key
    return name[:1].upper() + name[1:]


def is_https(url: str) -> bool:
    """Return whether a string is a complete https URL that is safe in an HTML attribute."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_plain = url.isprintable() and not any(character in url for character in " \"'<>\\`")
    return is_plain and parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc
