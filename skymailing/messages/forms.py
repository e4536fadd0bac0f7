"""The message form."""

from dataclasses import replace
from functools import partial

from flask import request
from flask_babel import get_locale
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from flask_wtf import FlaskForm
from wtforms import Field, HiddenField, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.form import BaseForm
from wtforms.validators import InputRequired, Length

from skymailing.delivery.audience.flags import check_flags
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.rendering.content import MAX_BODY, clean
from skymailing.delivery.rendering.languages import LANGUAGES, guess_language
from skymailing.delivery.rendering.letter import Content, TemplateError, check_content
from skymailing.delivery.rendering.mime import clean_line
from skymailing.messages.composed import make_composed, make_unfinished
from skymailing.messages.error_texts import explain_source_error, explain_template_error
from skymailing.messages.file_forms import FileFields
from skymailing.messages.layout_forms import read_typed_layout
from skymailing.messages.layouts import find_layout
from skymailing.messages.writing_page import translate_footer
from skymailing.models import COMPOSED_FORMATS, Layout, MessageFormat, SourceFormat, User
from skymailing.models.message import PREHEADER_MAX_LENGTH
from skymailing.web.i18n import LANGUAGE_NAMES
from skymailing.web.ids import read_id

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
    """Return the content of a message from cleaned texts, with our footer in its language."""
    chosen = choose_language(language, subject + body)
    return Content(subject, format, translate_footer(body, chosen), chosen)


def read_source_format(name: str | None) -> SourceFormat:
    return SourceFormat(name) if name in COMPOSED_FORMATS else SourceFormat.NONE


def read_typed(owner: User, *, may_be_unfinished: bool = False, has_layout: bool = True) -> Content:
    """Return the content that the editor sends while the user types, without checking its texts.

    Raises InvalidSource if the body cannot be composed, unless it may be unfinished, as in a draft. With
    `has_layout` False, the body is the text that the author typed.
    """
    if "is_layout" in request.form:
        return read_typed_layout(owner)
    layout = find_layout(owner.id, read_id(request.form.get("layout"))) if has_layout else None
    subject = clean_line(request.form.get("subject", ""))[:MAX_SUBJECT]
    preheader = clean_line(request.form.get("preheader", ""))[:PREHEADER_MAX_LENGTH]
    source_format = read_source_format(request.form.get("source_format"))
    source, language = clean(request.form.get("source", "")), request.form.get("language")
    if not source_format:
        format_name = request.form.get("format", "")
        format = MessageFormat(format_name) if format_name in set(MessageFormat) else MessageFormat.MARKDOWN
        content = make_content(subject, format, clean(request.form.get("body", "")), language)
        if not (source_format := find_written_format(format, layout)):
            return replace(content, preheader=preheader)
        source = content.body
    try:
        choose = partial(choose_language, language)
        content = make_composed(owner, subject, source_format, source, choose, layout)
    except (InvalidSource, TemplateError):
        if not may_be_unfinished:
            raise
        chosen = choose_language(language, subject)
        content = make_unfinished(subject, source_format, source, chosen, layout)
    return replace(content, preheader=preheader)


def find_written_format(format: MessageFormat, layout: Layout | None) -> SourceFormat:
    """Return the source format of a text with a layout; `NONE` without a layout or for plain text."""
    return SourceFormat(format) if layout and format is not MessageFormat.TEXT else SourceFormat.NONE


class TextIfWritten(InputRequired):
    """Require a text unless the body is composed from a source."""

    def __call__(self, form: BaseForm, field: Field) -> None:
        if not read_source_format(form["source_format"].data):
            super().__call__(form, field)


class MessageForm(FileFields, FlaskForm):
    """A new or existing message; template errors are shown next to their field."""

    subject = StringField(
        _l("Subject"),
        [InputRequired(_l("Enter a subject.")), Length(max=MAX_SUBJECT)],
        filters=[clean_subject],
    )
    preheader = StringField(
        _l("Preview text"), [Length(max=PREHEADER_MAX_LENGTH)], filters=[clean_subject], default=""
    )
    # Programs may omit it.
    language = SelectField(_l("Message language"), choices=LANGUAGE_CHOICES, validate_choice=False)
    format = RadioField(_l("Format"), choices=FORMATS, default=MessageFormat.MARKDOWN.value)
    body = TextAreaField(
        _l("Text"),
        [TextIfWritten(_l("Enter the text.")), Length(max=MAX_BODY)],
        filters=[clean_text],
    )
    # The source from which the body is composed. A message with a source needs no body.
    source_format = HiddenField()
    source = TextAreaField(_l("Design"), filters=[clean_text])
    # The choices are set by the page; programs may omit it.
    layout = SelectField(_l("Layout"), choices=[], validate_choice=False)

    # The error in the body without its line number, for writing mode, which shows no line numbers.
    problem_in_writing = ""
    # The content, once it has been composed from its source.
    _composed: Content | None = None

    def read_content(self) -> Content:
        """Return the submitted content; raises InvalidSource."""
        if self._composed is not None:
            return self._composed
        written, layout = self.read_written(), self.find_layout()
        source_format, source = read_source_format(self.source_format.data), self.source.data or ""
        if not source_format:
            if not (source_format := find_written_format(written.format, layout)):
                return written
            source = written.body
        choose = partial(choose_language, self.language.data)
        composed = make_composed(current_user, written.subject, source_format, source, choose, layout)
        self._composed = replace(composed, preheader=written.preheader)
        return self._composed

    def read_written(self) -> Content:
        """Return the content as its author wrote it, without the layout."""
        subject, body = self.subject.data or "", self.body.data or ""
        content = make_content(subject, MessageFormat(self.format.data), body, self.language.data)
        return replace(content, preheader=self.preheader.data or "")

    def find_layout(self) -> Layout | None:
        """Return the chosen layout."""
        return find_layout(current_user.id, read_id(self.layout.data))

    def validate(self, extra_validators: object = None) -> bool:
        if "source_format" not in request.form:  # a program has sent a body, which replaces a composed one
            self.source_format.data = ""
        is_composed = bool(read_source_format(self.source_format.data))
        if is_composed:
            self.format.data = MessageFormat.HTML.value
        if not super().validate(extra_validators):
            return False
        try:
            if not is_composed:  # so that errors have line numbers of the typed text
                check_content(self.read_written())
            check_content(self.read_content())
            check_flags(current_user, self.read_content())
        except InvalidSource as error:
            self.source.errors = [*self.source.errors, explain_source_error(error)]
            return False
        except TemplateError as error:
            # The lines of a composed body differ from those of its source.
            field = self.subject if error.in_subject else self.source if is_composed else self.body
            field = self.preheader if error.in_preheader else field
            field.errors = [*field.errors, explain_template_error(error, with_line=not is_composed)]
            if not error.in_subject and not error.in_preheader:
                self.problem_in_writing = explain_template_error(error, with_line=False)
            return False
        return True
