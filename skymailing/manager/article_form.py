"""The form in which articles are written."""

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import (
    BooleanField,
    HiddenField,
    SelectChoice,
    SelectField,
    StringField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import DataRequired, Length, Optional

from skymailing.manager import slugs
from skymailing.models import Article, MessageFormat
from skymailing.web.form_fields import LocalTimeField, one_line, strip
from skymailing.web.labels import state_label


class ArticleForm(FlaskForm):
    """A new article or a change of one; without a publication date it stays a draft."""

    title = StringField(_l("Title"), [DataRequired(), Length(max=200), one_line], filters=[strip])
    slug = StringField(
        _l("Address"),
        [Length(max=120)],
        filters=[strip],
        description=_l("The last part of the page's address. Empty means: made from the title."),
    )
    summary = TextAreaField(
        _l("Summary"),
        [Length(max=500)],
        filters=[strip],
        description=_l("One or two sentences for lists and for links in social networks."),
    )
    format = SelectField(_l("Format"), default=MessageFormat.MARKDOWN.value)
    body = TextAreaField(
        _l("Text"), [DataRequired()], description=_l("Pictures from other sites are not shown to readers.")
    )
    image = FileField(_l("Picture"), description=_l("JPEG, PNG or WebP; made smaller by itself."))
    image_alt = StringField(
        _l("What the picture shows"),
        [Length(max=255), one_line],
        filters=[strip],
        description=_l("Read out to people who cannot see it."),
    )
    remove_image = BooleanField(_l("Take the picture off"))
    published_at = LocalTimeField(
        _l("Published"), [Optional()], description=_l("Empty means a draft; a later time publishes it then.")
    )
    seen = HiddenField()  # when the article that the page shows was changed last

    def __init__(self, article: Article | None, **options: Any) -> None:
        super().__init__(**options)
        self.article = article
        self.format.choices = [SelectChoice(item.value, state_label(item)) for item in MessageFormat]

    def is_stale(self) -> bool:
        """Whether the article was changed since the page was opened; from now on the page knows of it."""
        assert self.article is not None
        present, seen = self.article.updated_at.isoformat(), self.seen.data
        self.seen.data, self.seen.raw_data = present, None
        return bool(seen) and seen != present

    @property
    def has_image(self) -> bool:
        """Whether the article will have a picture."""
        kept = bool(self.article and self.article.image and not self.remove_image.data)
        return bool(self.image.data) or kept

    def validate_slug(self, field: StringField) -> None:
        """Refuse what does not fit in an address, and what another article has."""
        if not field.data:
            return
        if not slugs.ALLOWED.fullmatch(field.data):
            raise ValidationError(_("Only small Latin letters, digits and single hyphens between them."))
        if slugs.is_taken(field.data, self.article.id if self.article else None):
            raise ValidationError(_("Another article has this address."))

    def validate_image_alt(self, field: StringField) -> None:
        """Ask for words when there is a picture."""
        if self.has_image and not field.data:
            raise ValidationError(_("Say in a few words what the picture shows."))

    def fill(self, article: Article, image: str) -> None:
        """Write what was typed into the article; `image` is the name of its picture, or empty."""
        article.title = self.title.data
        article.slug = self.slug.data or slugs.free_slug(self.title.data, article.id)
        article.summary = self.summary.data or ""
        article.format = MessageFormat(self.format.data)
        article.body = self.body.data.replace("\0", "")
        article.image = image
        article.image_alt = self.image_alt.data or "" if image else ""
        article.published_at = self.published_at.data
