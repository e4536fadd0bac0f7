"""Check the A/B test of a mailing."""

from collections.abc import Iterator, Mapping

from skymailing.delivery.rendering.content import Content, TemplateError, check_content
from skymailing.mailings.errors import MailingError
from skymailing.mailings.header_text import check_line
from skymailing.mailings.values import SENDER_NAME_MAX_LENGTH, MailingValues
from skymailing.mailings.variants import (
    MAX_TEST_HOURS,
    SAMPLE_LIMITS,
    SUBJECT_MAX_LENGTH,
    VariantValues,
    find_unknown_messages,
    letter_of,
    read_subjects,
)
from skymailing.messages.error_texts import explain_template_error
from skymailing.models import MessageFormat, User, WinnerBy


def check_test(owner: User, values: MailingValues) -> dict[str, MailingError]:
    """Return the errors by field; locks the chosen messages against deletion until the transaction ends."""
    if not values.variants:
        return {}
    errors = dict(_check_settings(values))
    unknown = find_unknown_messages(owner.id, values.variants)
    subjects = read_subjects(owner.id, values.message_id, values.variants)
    earlier = [_find_content(VariantValues(), values, subjects)]
    for number, variant in enumerate(values.variants, 2):
        letter = letter_of(number).lower()
        if variant.message_id in unknown:
            errors[f"message_{letter}"] = MailingError("mailing_message_unknown")
        if error := check_line(variant.sender_name, SENDER_NAME_MAX_LENGTH):
            errors[f"sender_name_{letter}"] = error
        if error := _check_subject(variant.subject):
            errors[f"subject_{letter}"] = error
        elif (effect := _find_content(variant, values, subjects)) in earlier:
            same = letter_of(1 + earlier.index(effect))
            errors[f"subject_{letter}"] = MailingError("mailing_variant_same", variant=same)
        earlier.append(_find_content(variant, values, subjects))
    return errors


def _check_settings(values: MailingValues) -> Iterator[tuple[str, MailingError]]:
    least, most = SAMPLE_LIMITS
    if not least <= values.sample_percent <= most:
        yield "sample_percent", MailingError("mailing_number_outside", least=least, most=most)
    if not 1 <= values.test_hours <= MAX_TEST_HOURS:
        yield "test_hours", MailingError("mailing_number_outside", least=1, most=MAX_TEST_HOURS)
    if values.winner_by is WinnerBy.CLICKS and not values.track_clicks:
        yield "winner_by", MailingError("mailing_test_needs_clicks")


def _find_content(
    variant: VariantValues, values: MailingValues, subjects: Mapping[int, str]
) -> tuple[str, str, int | None]:
    """Return what the letters of a variant contain."""
    name = variant.sender_name or values.sender_name.strip()
    message_id = variant.message_id or values.message_id
    return variant.subject or subjects.get(message_id or 0, ""), name, message_id


def _check_subject(subject: str) -> MailingError | None:
    if not subject:
        return None
    if error := check_line(subject, SUBJECT_MAX_LENGTH):
        return error
    try:
        check_content(Content(subject, MessageFormat.TEXT, "", ""))
    except TemplateError as broken:
        return MailingError("mailing_subject_broken", problem=explain_template_error(broken, with_line=False))
    return None
