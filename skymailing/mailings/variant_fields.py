"""The mailing form's fields for the A/B test."""

from collections.abc import Sequence
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from wtforms import IntegerField, RadioField, SelectChoice, SelectField, StringField
from wtforms.validators import Optional
from wtforms.widgets import NumberInput

from skymailing.delivery.rendering.mime import clean_line
from skymailing.mailings.form_fields import read_choice
from skymailing.mailings.queries import list_message_choices
from skymailing.mailings.variants import (
    MAX_TEST_HOURS,
    SAMPLE_LIMITS,
    SUBJECT_MAX_LENGTH,
    VariantValues,
    letter_of,
)
from skymailing.models import MAX_VARIANTS, User, WinnerBy
from skymailing.web.form_fields import strip
from skymailing.web.ids import read_id

DEFAULT_PERCENT = 20
DEFAULT_HOURS = 4


def _clean_subject(text: str | None) -> str | None:
    return clean_line(text) if text else text


def make_subject_field() -> StringField:
    return StringField(_l("Subject"), filters=[_clean_subject])


def make_sender_name_field() -> StringField:
    return StringField(_l("Sender name"), filters=[strip])


def make_message_field() -> SelectField:
    return SelectField(_l("Message"), coerce=read_id, validate_choice=False)


class VariantFields:
    """The variants B, C and D, and the settings of their test; without variants, there is no test."""

    # The names of the fields of variants B to D.
    VARIANT_NAMES = tuple(
        f"{name}_{letter}" for letter in "bcd" for name in ("subject", "sender_name", "message")
    )

    variants = SelectField(_l("Variants"), coerce=read_id, default=0)
    subject_b, subject_c, subject_d = make_subject_field(), make_subject_field(), make_subject_field()
    sender_name_b, sender_name_c, sender_name_d = (
        make_sender_name_field(),
        make_sender_name_field(),
        make_sender_name_field(),
    )
    message_b, message_c, message_d = make_message_field(), make_message_field(), make_message_field()
    sample_percent = IntegerField(
        _l("Sample (percent of clients)"),
        [Optional()],
        default=DEFAULT_PERCENT,
        widget=NumberInput(step=1, min=SAMPLE_LIMITS[0], max=SAMPLE_LIMITS[1]),
        description=_l("Divided equally between the variants."),
    )
    test_hours = IntegerField(
        _l("Wait (hours)"),
        [Optional()],
        default=DEFAULT_HOURS,
        widget=NumberInput(step=1, min=1, max=MAX_TEST_HOURS),
        description=_l("Then the other clients get the winning variant."),
    )
    winner_by = RadioField(
        _l("Winner"),
        choices=[
            SelectChoice(WinnerBy.CLICKS.value, _l("The variant with the most clicks")),
            SelectChoice(WinnerBy.OWNER.value, _l("I choose")),
        ],
        default=WinnerBy.CLICKS.value,
    )

    def offer_variants(self, owner: User, messages: Sequence[SelectChoice]) -> None:
        """Fill in the choices; a chosen message is offered even if it is too old for `messages`."""
        counts = range(2, MAX_VARIANTS + 1)
        labels = [ngettext("%(num)d variant", "%(num)d variants", count) for count in counts]
        pairs = zip(counts, labels, strict=True)
        self.variants.choices = [SelectChoice(0, _("No test")), *(SelectChoice(*pair) for pair in pairs)]
        self.sample_percent.flags.required = self.test_hours.flags.required = True
        for letter in "bcd":
            field = self._field("message", letter)
            offered = list(messages)
            if field.data and all(choice.value != field.data for choice in messages):
                offered = [SelectChoice(*choice) for choice in list_message_choices(owner, field.data)]
            field.choices = [SelectChoice(0, _("As in the mailing")), *offered]
            self._field("subject", letter).flags.maxlength = SUBJECT_MAX_LENGTH

    def read_variants(self) -> dict[str, Any]:
        """Return the test's values for MailingValues."""
        count = self.variants.data if self.variants.data in range(2, MAX_VARIANTS + 1) else 0
        percent, hours = self.sample_percent.data, self.test_hours.data
        return {
            "variants": tuple(
                self._read_variant(letter_of(number).lower()) for number in range(2, count + 1)
            ),
            "sample_percent": DEFAULT_PERCENT if percent is None else percent,
            "test_hours": DEFAULT_HOURS if hours is None else hours,
            "winner_by": read_choice(self.winner_by, WinnerBy.CLICKS),
        }

    @property
    def has_test_error(self) -> bool:
        """Whether a field of the test has an error."""
        names = ("variants", "sample_percent", "test_hours", "winner_by", *self.VARIANT_NAMES)
        return any(getattr(self, name).errors for name in names)

    def name_label(self, name: str) -> str:
        """Return the label of a field, with the name of its variant (B to D)."""
        text = str(getattr(self, name).label.text)
        return f"{text} ({name[-1].upper()})" if name in self.VARIANT_NAMES else text

    def list_variant_fields(self) -> list[tuple[str, list[Any]]]:
        """Return the fields of each variant, by its name (B to D)."""
        names = ("subject", "sender_name", "message")
        return [(letter.upper(), [self._field(name, letter) for name in names]) for letter in "bcd"]

    def _read_variant(self, letter: str) -> VariantValues:
        return VariantValues(
            (self._field("subject", letter).data or "").strip(),
            self._field("sender_name", letter).data or "",
            self._field("message", letter).data or None,
        )

    def _field(self, name: str, letter: str) -> Any:
        return getattr(self, f"{name}_{letter}")


def fill_in(variants: Sequence[VariantValues]) -> dict[str, Any]:
    """Return the form's data for the variants of a mailing."""
    data: dict[str, Any] = {"variants": 1 + len(variants) if variants else 0}
    for letter, variant in zip("bcd", variants, strict=False):
        data |= {
            f"subject_{letter}": variant.subject,
            f"sender_name_{letter}": variant.sender_name,
            f"message_{letter}": variant.message_id or 0,
        }
    return data
