"""Filters of the panel's lists, and what is asked before something is changed."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypeVar

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from flask_wtf import FlaskForm
from wtforms import SearchField, SelectField, TextAreaField
from wtforms.validators import DataRequired, Length

from skymailing.models import AuditAction, DeliveryState, MailingState, Outcome, Role, RunState
from skymailing.web.form_fields import PeriodForm, one_line, strip
from skymailing.web.labels import state_label

E = TypeVar("E", bound=StrEnum)

YES, NO = "yes", "no"


class Filter(PeriodForm):
    """A filter whose choices come from enums; an unknown choice asks for nothing."""

    def offer(self, field: str, members: Sequence[StrEnum], everything: str) -> None:
        self[field].choices = [("", everything), *((item.value, state_label(item)) for item in members)]

    def offer_flag(self, field: str, yes: str, no: str) -> None:
        self[field].choices = [("", _("all")), (YES, yes), (NO, no)]

    def flag(self, name: str) -> bool | None:
        """Return whether something is wanted or unwanted; None when either will do."""
        return {YES: True, NO: False}.get(self.read(name) or "")

    def member(self, name: str, enum: type[E]) -> E | None:
        """Return the member of an enum that is asked for."""
        value = self.read(name)
        return enum(value) if value else None

    def text(self, name: str) -> str:
        return self.read(name) or ""


def search_field(label: Any) -> SearchField:
    return SearchField(label, [Length(max=200)], filters=[strip])


class MailingFilter(Filter):
    """Which mailings: by name, owner, state, mark, and when they start."""

    q = search_field(lazy_pgettext("mailing", "Name"))
    owner = search_field(_l("Owner"))
    state = SelectField(_l("State"), default="")
    disabled = SelectField(_l("Disabled"), default="")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.offer("state", list(MailingState), _("all states"))
        self.offer_flag("disabled", _("only disabled"), _("only not disabled"))
        self.since.label.text = _("Starts since")
        self.until.label.text = _("Starts until")


class RunFilter(Filter):
    """Which runs: by state and when they started."""

    state = SelectField(_l("State"), default="")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.offer("state", list(RunState), _("all states"))


class DeliveryFilter(Filter):
    """Which deliveries of a run."""

    q = search_field(_l("Address"))
    state = SelectField(_l("State"), default="")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.offer("state", list(DeliveryState), _("all states"))


class AttemptFilter(Filter):
    """Which attempts of a mailing."""

    q = search_field(_l("Address"))
    outcome = SelectField(_l("Outcome"), default="")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.offer("outcome", list(Outcome), _("all outcomes"))


class UserFilter(Filter):
    """Which users."""

    q = search_field(_l("Name or address"))
    role = SelectField(_l("Role"), default="")
    blocked = SelectField(_l("Blocked"), default="")
    confirmed = SelectField(_l("Address confirmed"), default="")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.offer("role", list(Role), _("all roles"))
        self.offer_flag("blocked", _("only blocked"), _("only not blocked"))
        self.offer_flag("confirmed", _("only confirmed"), _("only unconfirmed"))


class ArticleFilter(Filter):
    """Which articles."""

    q = search_field(_l("Title"))
    published = SelectField(_l("State"), default="")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.offer_flag("published", _("only published"), _("drafts and planned ones"))


class AuditFilter(Filter):
    """Which lines of the audit log."""

    q = search_field(_l("Who or what"))
    action = SelectField(_l("Action"), default="")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.offer("action", list(AuditAction), _("all actions"))


class ReasonForm(FlaskForm):
    """Why something is done: for whom it concerns, and for the audit log."""

    reason = TextAreaField(
        _l("Reason"),
        [DataRequired(_l("Say why. It is kept in the audit log.")), Length(max=500)],
        filters=[strip],
    )


class RoleForm(FlaskForm):
    """Another role for an account."""

    role = SelectField(_l("Role"))
    reason = SearchField(_l("Reason"), [Length(max=400), one_line], filters=[strip])

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.role.choices = [(role.value, state_label(role)) for role in Role]


class ConfirmForm(FlaskForm):
    """Nothing but the token that shows that the form is ours."""
