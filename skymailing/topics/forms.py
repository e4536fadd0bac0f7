"""The form of a topic."""

from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from flask_wtf import FlaskForm
from wtforms import BooleanField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length

from skymailing.models.topic import DESCRIPTION_MAX_LENGTH, TOPIC_MAX_LENGTH
from skymailing.topics.services import TopicValues
from skymailing.web.form_fields import one_line, strip


class TopicForm(FlaskForm):
    """A new or existing topic."""

    name = StringField(
        lazy_pgettext("topic", "Name"),
        [DataRequired(_l("Enter a name.")), Length(max=TOPIC_MAX_LENGTH), one_line],
        filters=[strip],
        description=_l("Clients see it, for example “News” or “Special offers”."),
    )
    description = TextAreaField(
        lazy_pgettext("topic", "Description"),
        [Length(max=DESCRIPTION_MAX_LENGTH)],
        filters=[strip],
        description=_l("What these emails are about and how often they come."),
    )
    is_public = BooleanField(
        _l("Offer on the preference page"),
        description=_l(
            "Otherwise, only clients who have subscribed to the topic or unsubscribed from it see it there."
        ),
    )
    is_opt_in = BooleanField(
        _l("Only for clients who subscribe"),
        description=_l("Otherwise, all clients get these emails until they unsubscribe from the topic."),
    )

    @property
    def values(self) -> TopicValues:
        """The validated input."""
        return TopicValues(
            name=" ".join((self.name.data or "").split()),
            description=self.description.data or "",
            is_public=bool(self.is_public.data),
            is_opt_in=bool(self.is_opt_in.data),
        )
