"""Parse a person's status in a file: may be mailed, opted out, or not confirmed yet."""

from enum import IntEnum

from skymailing.clients.fields import simplify
from skymailing.models import SuppressionReason


class Standing(IntEnum):
    """Whether the person in a row may be mailed, or why not; of several values, the highest one applies."""

    MAILABLE = 0
    SKIPPED = 1  # never confirmed, or inactive: neither a client nor a suppression
    BLOCKED = 2  # the owner's own decision
    BOUNCED = 3
    UNSUBSCRIBED = 4
    COMPLAINED = 5


SUPPRESSIONS = {
    Standing.BLOCKED: SuppressionReason.MANUAL,
    Standing.BOUNCED: SuppressionReason.BOUNCED,
    Standing.UNSUBSCRIBED: SuppressionReason.UNSUBSCRIBED,
    Standing.COMPLAINED: SuppressionReason.COMPLAINED,
}

# Words reduced to letters and digits.
WORDS: dict[Standing, str] = {
    Standing.MAILABLE: (
        "active enabled subscribed subscriber confirmed optedin optin verified new ok valid available sent "
        "normal softbounced softbounce tempunreachable mailboxfull spamrejected spamfolder member "
        "активен активный активна активно подписан подписана подписчик подтвержден подтверждён подтверждена "
        "новый доступен"
    ),
    Standing.SKIPPED: (
        "pending unconfirmed notconfirmed waiting invited inactive disabled nonsubscribed notsubscribed "
        "transactional archived paused deactivated ожидает ожидаетподтверждения неподтвержден неподтверждён "
        "неподтвержденный неактивен неактивный неактивна отключен отключён неподписан"
    ),
    Standing.BLOCKED: "manual",
    Standing.BOUNCED: (
        "bounced bounce hardbounced hardbounce cleaned unreachable invalid undeliverable undelivered "
        "nonexistent notexists rejected недоступен несуществует недоставляется ошибкадоставки возврат"
    ),
    Standing.UNSUBSCRIBED: (
        "unsubscribed unsubscribe unsub optedout optout removed blocklisted blacklisted blocked banned "
        "suppressed donotmail donotemail отписан отписана отписался отписалась отписалсяась отписка "
        "вчерномсписке вчёрномсписке черныйсписок чёрныйсписок заблокирован заблокирована"
    ),
    Standing.COMPLAINED: (
        "complained complaint spam abuse spamcomplaint markedasspam junk жалоба пожаловался пожаловалась спам"
    ),
}
MEANINGS = {word: standing for standing, words in WORDS.items() for word in words.split()}
NO = {"", "0", "no", "n", "false", "f", "нет", "н", "ложь", "none", "null", "off", "-", "–"}
YES = {"1", "yes", "y", "true", "t", "да", "д", "истина", "on", "+"}


def read_status(text: str) -> Standing | None:
    """Return the standing for a word such as "unsubscribed"; None if the word is unknown."""
    return MEANINGS.get(simplify(text)) if text.strip() else Standing.MAILABLE


def is_no(text: str) -> bool:
    """Return whether a cell means no, or is empty. Any other text, such as a date, counts as yes."""
    return text.strip().lower() in NO


def is_explicit_no(text: str) -> bool:
    """Return whether a cell explicitly means no; an empty cell does not."""
    return bool(text.strip()) and is_no(text)
