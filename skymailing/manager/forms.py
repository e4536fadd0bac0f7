"""Define the panel's filters, and the forms that confirm a change."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypeVar

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext, pgettext
from flask_wtf import FlaskForm
from wtforms import SearchField, SelectField, TextAreaField
from wtforms.validators import DataRequired, Length

from skymailing.manager.suspicion import Suspicion
from skymailing.manager.words import suspicion_label
from skymailing.models import AuditAction, DeliveryState, MailingState, Outcome, Role, RunState, UsageKind
from skymailing.web.form_fields import PeriodForm, one_line, strip
from skymailing.web.labels import state_label

E = TypeVar("E", bound=StrEnum)

YES, NO = "yes", "no"
BOUNCE_SHARES = (1, 2, 5, 10)  # percent


class Filter(PeriodForm):
    """A filter whose choices come from enums; an unknown choice is ignored."""

    def set_choices(self, field: str, members: Sequence[StrEnum], everything: str) -> None:
        self[field].choices = [("", everything), *((item.value, state_label(item)) for item in members)]

    def set_flag_choices(self, field: str, yes: str, no: str) -> None:
        self[field].choices = [("", _("all")), (YES, yes), (NO, no)]

    def flag(self, name: str) -> bool | None:
        """Return True for yes, False for no, and None for "all"."""
        return {YES: True, NO: False}.get(self.valid_data(name) or "")

    def member(self, name: str, enum: type[E]) -> E | None:
        """Return the chosen member of an enum; None for "all"."""
        value = self.valid_data(name)
        return enum(value) if value else None

    def text(self, name: str) -> str:
        return self.valid_data(name) or ""


def search_field(label: Any) -> SearchField:
    return SearchField(label, [Length(max=200)], filters=[strip])


class MailingFilter(Filter):
    """Filter mailings by name, owner, state, start, refused letters and whether they are disabled."""

    q = search_field(lazy_pgettext("mailing", "Name"))
    owner = search_field(_l("Owner"))
    state = SelectField(_l("State"), default="")
    disabled = SelectField(_l("Disabled"), default="")
    refused = SelectField(_l("Not delivered"), default="")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.set_choices("state", list(MailingState), _("all states"))
        self.set_flag_choices("disabled", _("disabled"), _("not disabled"))
        self.set_flag_choices("refused", pgettext("refusals", "some"), pgettext("refusals", "none"))
        self.since.label.text = _("Starts on or after")
        self.until.label.text = _("Starts on or before")


class RunFilter(Filter):
    """Filter runs by state and start."""

    state = SelectField(_l("State"), default="")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.set_choices("state", list(RunState), _("all states"))


class DeliveryFilter(Filter):
    """Filter the deliveries of a run by address and state."""

    q = search_field(_l("Address"))
    state = SelectField(_l("State"), default="")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.set_choices("state", list(DeliveryState), _("all states"))


class AttemptFilter(Filter):
    """Filter the attempts of a mailing by address, outcome and time."""

    q = search_field(_l("Address"))
    outcome = SelectField(_l("Outcome"), default="")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.set_choices("outcome", list(Outcome), _("all outcomes"))


class UserFilter(Filter):
    """Filter users by name or address, role, block, confirmation, and what is unusual about their sending."""

    q = search_field(_l("Name or address"))
    role = SelectField(_l("Role"), default="")
    blocked = SelectField(_l("Blocked"), default="")
    confirmed = SelectField(_l("Address confirmed"), default="")
    suspicious = SelectField(_l("Suspicious"), default="")
    bounces = SelectField(_l("Address does not exist"), default="")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.suspicious.choices = [
            ("", _("all")),
            (YES, _("any reason")),
            *((reason.value, suspicion_label(reason)) for reason in Suspicion),
        ]
        self.bounces.choices = [
            ("", _("all")),
            *((str(percent), _("over %(percent)s%%", percent=percent)) for percent in BOUNCE_SHARES),
        ]
        self.set_choices("role", list(Role), _("all roles"))
        self.set_flag_choices("blocked", _("blocked"), _("not blocked"))
        self.set_flag_choices("confirmed", _("confirmed"), _("unconfirmed"))
        self.since.label.text = _("Registered from")
        self.until.label.text = _("Registered to")

    def suspicions(self) -> list[Suspicion]:
        """Return the chosen reasons; none for "all"."""
        chosen = self.text("suspicious")
        return list(Suspicion) if chosen == YES else [Suspicion(chosen)] if chosen else []

    def bounce_percent(self) -> int | None:
        return int(self.text("bounces") or 0) or None


class ReputationFilter(Filter):
    """Filter users by name or address and by whether their mailings are paused, and sort them."""

    q = search_field(_l("Name or address"))
    order = SelectField(_l("Sort by"), default="")
    paused = SelectField(_l("Mailings"), default="")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.order.choices = [
            ("", _("Spam complaints")),
            (UsageKind.BOUNCES.value, _("Address does not exist")),
            (UsageKind.LETTERS.value, _("Send attempts")),
            (UsageKind.ACCEPTED.value, pgettext("emails", "Accepted")),
        ]
        self.set_flag_choices("paused", pgettext("mailing", "paused"), _("not paused"))


class SenderFilter(Filter):
    """Filter senders by address or owner, and by confirmation."""

    q = search_field(_l("Address or owner"))
    confirmed = SelectField(_l("Address confirmed"), default="")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.set_flag_choices("confirmed", _("confirmed"), _("waiting for confirmation"))


class ArticleFilter(Filter):
    """Filter articles by title and publication."""

    q = search_field(_l("Title"))
    published = SelectField(_l("State"), default="")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.set_flag_choices("published", _("published"), _("drafts and scheduled"))


class AuditFilter(Filter):
    """Filter the audit log by person or target, action and time."""

    q = search_field(_l("Person or target"))
    action = SelectField(_l("Action"), default="")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.set_choices("action", list(AuditAction), _("all actions"))


class ReasonForm(FlaskForm):
    """Ask for a reason, which is shown to the user concerned and saved in the audit log."""

    reason = TextAreaField(
        _l("Reason"),
        [DataRequired(_l("Enter a reason. It is saved in the audit log.")), Length(max=500)],
        filters=[strip],
    )


class RoleForm(FlaskForm):
    """Change the role of an account."""

    role = SelectField(_l("Role"))
    reason = SearchField(_l("Reason"), [Length(max=400), one_line], filters=[strip])

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.role.choices = [(role.value, state_label(role)) for role in Role]


class ConfirmForm(FlaskForm):
    """Confirm a change; the form has no field except the CSRF token."""
