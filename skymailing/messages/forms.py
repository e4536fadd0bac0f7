"""The message form."""

from flask import request
from flask_babel import get_locale
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length

from skymailing.delivery.rendering.content import MAX_BODY, clean
from skymailing.delivery.rendering.languages import LANGUAGES, guess_language
from skymailing.delivery.rendering.letter import Content, TemplateError, check_content
from skymailing.delivery.rendering.mime import clean_line
from skymailing.messages.error_texts import explain_template_error
from skymailing.messages.file_forms import FileFields
from skymailing.messages.starters import translate_footer
from skymailing.models import MessageFormat
from skymailing.web.i18n import LANGUAGE_NAMES

MAX_SUBJECT = 500  # characters
FORMATS = [
    SelectChoice(MessageFormat.MARKDOWN.value, _l("Markdown")),
    SelectChoice(MessageFormat.HTML.value, _l("HTML")),
    SelectChoice(MessageFormat.TEXT.value, _l("Plain text")),
]
LANGUAGE_CHOICES = [SelectChoice(code, name) for code, name in LANGUAGE_NAMES.items()]


def clean_text(text: str | None) -> str | None:
    return clean(text) if text else text


def clean_subject(text: str | None) -> str | None:
    return clean_line(text) if text else text


def choose_language(chosen: str | None, text: str) -> str:
    """Return a message's chosen language, or else the language of its text, or else the page's."""
    return chosen if chosen in LANGUAGES else guess_language(text, get_locale().language)


def make_content(subject: str, format: MessageFormat, body: str, language: str | None) -> Content:
    """Return the content of a message, whose texts are cleaned already, with our footer in its language."""
    chosen = choose_language(language, subject + body)
    return Content(subject, format, translate_footer(body, chosen), chosen)


def read_typed() -> Content:
    """Return the content that the editor sends while the user types, valid or not."""
    format_name = request.form.get("format", "")
    subject = clean_line(request.form.get("subject", ""))[:MAX_SUBJECT]
    format = MessageFormat(format_name) if format_name in set(MessageFormat) else MessageFormat.MARKDOWN
    body = clean(request.form.get("body", ""))
    return make_content(subject, format, body, request.form.get("language"))


class MessageForm(FileFields, FlaskForm):
    """A new or existing message; template errors are shown next to their field."""

    subject = StringField(
        _l("Subject"),
        [InputRequired(_l("Enter a subject.")), Length(max=MAX_SUBJECT)],
        filters=[clean_subject],
    )
    # Programs may omit it.
    language = SelectField(_l("Message language"), choices=LANGUAGE_CHOICES, validate_choice=False)
    format = RadioField(_l("Format"), choices=FORMATS, default=MessageFormat.MARKDOWN.value)
    body = TextAreaField(
        _l("Text"),
        [InputRequired(_l("Enter the text.")), Length(max=MAX_BODY)],
        filters=[clean_text],
    )

    # The error in the body, without its line number, for writing mode, which shows none.
    problem_in_writing = ""

    def read_content(self) -> Content:
        """Return the submitted content."""
        subject, body = self.subject.data or "", self.body.data or ""
        return make_content(subject, MessageFormat(self.format.data), body, self.language.data)

    def validate(self, extra_validators: object = None) -> bool:
        if not super().validate(extra_validators):
            return False
        try:
            check_content(self.read_content())
        except TemplateError as error:
            field = self.subject if error.in_subject else self.body
            field.errors = [*field.errors, explain_template_error(error)]
            if not error.in_subject:
                self.problem_in_writing = explain_template_error(error, with_line=False)
            return False
        return True
