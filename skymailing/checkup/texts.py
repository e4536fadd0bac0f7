"""The texts of checks, by code: the result if it passes, the advice if it fails, and where to follow it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flask_babel import LazyString, format_decimal
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from skymailing.checkup.registry import find_failed, find_passed
from skymailing.checkup.results import Checked, Outcome, Value

# The places to which templates/macros/checkup.html links.
MESSAGE, LINKS, SENDER, DOMAIN, NEW_DOMAIN, BRAND, WHO, STATISTICS, QUIET, RUN = (
    *("message", "links", "sender", "domain", "new_domain"),
    *("brand", "who", "statistics", "quiet", "run"),
)


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of a check."""

    passed: LazyString
    advice: LazyString
    place: str = MESSAGE


SUBJECT_TEXTS = {
    "subject_is_set": Texts(_l("The subject is filled in"), _l("The subject is empty.")),
    "subject_is_new": Texts(
        _l("The subject does not pretend to be a reply"),
        _l("The subject looks like a reply. Filters and readers treat that as deception."),
    ),
    "subject_case": Texts(
        _l("The subject is not in capitals"), _l("The subject is in capitals. Write it in lower case.")
    ),
    "subject_marks": Texts(
        _l("Few exclamation marks in the subject"),
        _l("The subject has many exclamation marks. One is enough."),
    ),
    "subject_emoji": Texts(
        _l("Few emoji in the subject"), _l("The subject has %(count)s emoji. One or two are enough.")
    ),
    "subject_length": Texts(
        _l("The subject fits on a phone"),
        _l("The subject has %(count)s characters, and phones show about %(limit)s. Begin with what matters."),
    ),
}
TEXT_TEXTS = {
    "phrases": Texts(_l("No typical spam phrases"), _l("Spam filters react to: %(phrases)s")),
    "prose": Texts(
        _l("Enough text next to the pictures"),
        _l("The email is mostly pictures. Filters cannot read them: add a few sentences of text."),
    ),
    "text_part": Texts(
        _l("The plain-text version says the same"),
        _l("The plain-text version lacks most of the text. Check it in the preview."),
    ),
    "size": Texts(
        _l("Gmail shows the whole email"),
        _l("Gmail shows only the first %(limit)s KB of the email. Make it shorter."),
    ),
    "pictures_weight": Texts(
        _l("The pictures load quickly"),
        _l("The pictures take up %(megabytes)s MB and load slowly on phones. Use fewer or smaller ones."),
    ),
    "picture_texts": Texts(
        _l("All pictures have a description"),
        _l("Some pictures have no description. Many mail programs do not load pictures at first."),
    ),
    "unsubscribing": Texts(_l("Unsubscribe link"), _l("There is no unsubscribe link.")),
    "postal_address": Texts(
        _l("Your address is in the email"),
        _l("The email has no postal address or company details, which many countries require."),
        BRAND,
    ),
}
LINK_TEXTS = {
    "link_texts": Texts(
        _l("Links lead where their text says"),
        _l("A link shows %(shown)s but leads to %(host)s. Filters take that for phishing."),
    ),
    "counted_link_texts": Texts(
        _l("No addresses as link texts"),
        _l("A link shows %(shown)s but leads through %(host)s, which counts clicks. Use words as its text."),
    ),
    "shorteners": Texts(
        _l("No shortened links"),
        _l("%(host)s hides where a link leads, as spammers do. Use the full address."),
    ),
    "ip_addresses": Texts(
        _l("Links use domain names"),
        _l("A link leads to %(host)s instead of a domain name. Filters distrust that."),
    ),
    "encryption": Texts(_l("Links use https"), _l("The link to %(host)s begins with http://. Use https://.")),
    "sites": Texts(
        _l("Links lead to few sites"), _l("Links lead to %(count)s different sites. Filters expect a few.")
    ),
    "links_open": Texts(_l("All links open"), _l("Links that do not open: %(count)s of %(total)s."), LINKS),
}
SENDER_TEXTS = {
    "free_mail": Texts(
        _l("Not a free mailbox"),
        _l("Only the servers of %(host)s may send from its addresses. Use an address of your domain."),
        SENDER,
    ),
    "domain_is_known": Texts(
        _l("The sender's domain is set up"),
        _l("Emails from %(host)s are not signed (DKIM). Add the domain so that they are."),
        NEW_DOMAIN,
    ),
    "ownership": Texts(
        _l("The domain is proven to be yours"),
        _l("The record that proves that %(host)s is yours has disappeared. Restore it."),
        DOMAIN,
    ),
    "signature": Texts(
        _l("Emails are signed (DKIM)"), _l("Emails from %(host)s are not signed correctly (DKIM)."), DOMAIN
    ),
    "policy": Texts(
        _l("The domain has a policy (DMARC)"),
        _l("%(host)s has no valid DMARC record. Gmail and Yahoo require one from bulk senders."),
        DOMAIN,
    ),
}
AUDIENCE_TEXTS = {
    "first_volume": Texts(
        _l("A small first mailing"),
        _l("Your first mailing, to %(count)s clients at once: begin with a part of them."),
        WHO,
    ),
    "volume": Texts(
        _l("As many emails as usual"),
        _l("%(count)s emails are many more than you usually send (up to %(largest)s). Send them in parts."),
        WHO,
    ),
    "acquaintance": Texts(
        _l("Most clients know you"),
        _l(
            "About %(percent)s of these clients had no email from you in six months. Send to them separately."
        ),
        WHO,
    ),
    "quiet_clients": Texts(
        _l("Most clients are active"),
        _l("About %(percent)s of these clients have stopped clicking. Consider leaving them out."),
        QUIET,
    ),
    "bounces": Texts(
        _l("Few emails in the last mailing came back"),
        _l("%(percent)s of your last mailing was not delivered. Check where these addresses come from."),
        RUN,
    ),
}
TEXTS = SUBJECT_TEXTS | TEXT_TEXTS | LINK_TEXTS | SENDER_TEXTS | AUDIENCE_TEXTS


@dataclass(frozen=True, slots=True)
class Line:
    """A check's line on a page."""

    code: str
    text: str
    is_problem: bool
    place: str
    place_id: int
    variant: str


@dataclass(frozen=True, slots=True)
class Checkup:
    """The checks that failed, problems first, and those that passed."""

    findings: list[Line]
    passed: list[Line]


def describe_all(checked: Iterable[Checked]) -> Checkup:
    """Return the lines of checks."""
    checked = list(checked)
    failed, passed = find_failed(checked), find_passed(checked)
    return Checkup([describe(check) for check in failed], [describe(check) for check in passed])


def describe(checked: Checked) -> Line:
    """Return the line of a check, in the language of the page."""
    texts, result = TEXTS[checked.code], checked.result
    has_passed = result.outcome is Outcome.PASSED
    values = {name: _format(name, value) for name, value in result.values.items()}
    text = str(texts.passed) if has_passed else str(texts.advice) % values
    if checked.variant:
        text = _("Variant %(variant)s: %(text)s", variant=checked.variant, text=text)
    return Line(
        checked.code,
        text,
        is_problem=result.outcome is Outcome.PROBLEM,
        place=texts.place,
        place_id=int(result.values.get("id", 0)),
        variant=checked.variant,
    )


def _format(name: str, value: Value) -> Any:
    if isinstance(value, str):
        return value
    if name == "percent":
        return _("%(percent)s%%", percent=format_decimal(round(value)))
    return format_decimal(round(value, 1))
