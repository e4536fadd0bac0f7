"""The form for writing an article."""

from typing import Any

from flask import current_app
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import (
    BooleanField,
    HiddenField,
    IntegerRangeField,
    RadioField,
    SelectChoice,
    SelectField,
    StringField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import DataRequired, Length, NumberRange, Optional

from skymailing.blog.covers import MAX_ZOOM, Crop
from skymailing.delivery.rendering.languages import guess_language
from skymailing.manager import slugs
from skymailing.messages.forms import FORMATS
from skymailing.models import Article, MessageFormat
from skymailing.web.form_fields import LocalTimeField, one_line, strip
from skymailing.web.i18n import LANGUAGE_NAMES
from skymailing.web.slugs import SLUG


class ArticleForm(FlaskForm):
    """Create or edit an article; without a publication date, it is a draft."""

    title = StringField(_l("Title"), [DataRequired(), Length(max=200), one_line], filters=[strip])
    slug = StringField(
        _l("Address"),
        [Length(max=120)],
        filters=[strip],
        description=_l("The last part of the page's address. Leave empty to use the title."),
    )
    summary = TextAreaField(
        _l("Summary"),
        [Length(max=500)],
        filters=[strip],
        description=_l("One or two sentences, shown in lists and on social networks."),
    )
    language = SelectField(_l("Language"))
    format = RadioField(_l("Format"), default=MessageFormat.MARKDOWN.value)
    body = TextAreaField(
        _l("Text"), [DataRequired()], description=_l("Images from other sites are not shown to readers.")
    )
    image = FileField(
        _l("Image"), description=_l("JPEG, PNG or WebP. Large images are resized automatically.")
    )
    image_alt = StringField(
        _l("Image description"),
        [Length(max=255), one_line],
        filters=[strip],
        description=_l("For people who cannot see the image: screen readers read it aloud."),
    )
    crop_x = IntegerRangeField(_l("Horizontal position"), [NumberRange(0, 100)], default=50)
    crop_y = IntegerRangeField(_l("Vertical position"), [NumberRange(0, 100)], default=50)
    crop_zoom = IntegerRangeField(_l("Zoom"), [NumberRange(100, MAX_ZOOM)], default=100)
    remove_image = BooleanField(_l("Remove the image"))
    published_at = LocalTimeField(
        _l("Published"),
        [Optional()],
        description=_l("Leave empty to keep the article as a draft, or choose a future time to schedule it."),
    )
    seen = HiddenField()  # when the article was last changed before the page was opened

    def __init__(self, article: Article | None, **options: Any) -> None:
        super().__init__(**options)
        self.article = article
        self.format.choices = FORMATS
        self.language.choices = [
            SelectChoice(code, LANGUAGE_NAMES[code]) for code in current_app.config["LANGUAGES"]
        ]
        if not self.language.data:  # not chosen yet
            text = f"{article.title} {article.body}" if article else ""
            self.language.data = guess_language(text, get_locale().language)

    def is_stale(self) -> bool:
        """Return whether the article has changed since the page was opened; later calls accept the change."""
        assert self.article is not None
        current, seen = self.article.updated_at.isoformat(), self.seen.data
        self.seen.data, self.seen.raw_data = current, None
        return bool(seen) and seen != current

    @property
    def has_image(self) -> bool:
        """Whether the article will have an image."""
        keeps_image = bool(self.article and self.article.image and not self.remove_image.data)
        return bool(self.image.data) or keeps_image

    def validate_slug(self, field: StringField) -> None:
        """Reject a slug that has invalid characters or is used by another article."""
        if not field.data:
            return
        if not SLUG.fullmatch(field.data):
            raise ValidationError(_("Use lowercase Latin letters, digits and single hyphens."))
        if slugs.is_taken(field.data, self.article.id if self.article else None):
            raise ValidationError(_("Another article uses this address."))

    def validate_image_alt(self, field: StringField) -> None:
        """Require a description if there is an image."""
        if self.has_image and not field.data:
            raise ValidationError(_("Describe the image in a few words."))

    def read_crop(self) -> Crop:
        return Crop(self.crop_x.data, self.crop_y.data, self.crop_zoom.data)

    def apply_to(self, article: Article, image: str, cover: str) -> None:
        """Copy the form's values to the article; `image` and `cover` are file names, or empty."""
        article.title = self.title.data
        article.slug = self.slug.data or slugs.find_free_slug(self.title.data, article.id)
        article.summary = self.summary.data or ""
        article.format = MessageFormat(self.format.data)
        article.body = self.body.data.replace("\0", "")
        article.language = self.language.data
        article.image, article.cover = image, cover
        article.crop_x, article.crop_y, article.crop_zoom = self.read_crop() if image else Crop()
        article.image_alt = self.image_alt.data or "" if image else ""
        article.published_at = self.published_at.data
