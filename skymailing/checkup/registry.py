"""List all checks. A check returns its result, or None if it does not apply.

A check's code is its name without `check_`; `texts.py` has two texts for each code.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from skymailing.checkup import audience_checks, sender_checks, subject_checks, text_checks, url_checks
from skymailing.checkup.audience_checks import Crowd
from skymailing.checkup.letters import Letter
from skymailing.checkup.results import Checked, Outcome, Result
from skymailing.checkup.sender_checks import Source
from skymailing.models import LinkCheck

Subject = TypeVar("Subject")

LETTER_CHECKS: tuple[Callable[[Letter], Result | None], ...] = (
    subject_checks.check_subject_is_set,
    subject_checks.check_subject_is_new,
    subject_checks.check_subject_case,
    subject_checks.check_subject_marks,
    subject_checks.check_subject_emoji,
    subject_checks.check_subject_length,
    text_checks.check_phrases,
    text_checks.check_prose,
    text_checks.check_text_part,
    text_checks.check_size,
    text_checks.check_pictures_weight,
    text_checks.check_picture_texts,
    url_checks.check_link_texts,
    url_checks.check_counted_link_texts,
    url_checks.check_shorteners,
    url_checks.check_ip_addresses,
    url_checks.check_encryption,
    url_checks.check_sites,
    text_checks.check_unsubscribing,
    text_checks.check_postal_address,
)
LINK_CHECKS: tuple[Callable[[LinkCheck | None], Result | None], ...] = (url_checks.check_links_open,)
SENDER_CHECKS: tuple[Callable[[Source], Result | None], ...] = (
    sender_checks.check_free_mail,
    sender_checks.check_domain_is_known,
    sender_checks.check_ownership,
    sender_checks.check_signature,
    sender_checks.check_policy,
)
AUDIENCE_CHECKS: tuple[Callable[[Crowd], Result | None], ...] = (
    audience_checks.check_first_volume,
    audience_checks.check_volume,
    audience_checks.check_acquaintance,
    audience_checks.check_quiet_clients,
    audience_checks.check_bounces,
)


def run_checks(checks: Iterable[Callable[[Subject], Result | None]], subject: Subject) -> list[Checked]:
    """Return the results of the checks that apply."""
    results = ((check.__name__.removeprefix("check_"), check(subject)) for check in checks)
    return [Checked(code, result) for code, result in results if result is not None]


def find_failed(checked: Iterable[Checked]) -> list[Checked]:
    """Return the checks that have not passed, problems first."""
    failed = [check for check in checked if check.result.outcome is not Outcome.PASSED]
    return sorted(failed, key=lambda check: check.result.outcome is Outcome.ADVICE)


def find_passed(checked: Iterable[Checked]) -> list[Checked]:
    return [check for check in checked if check.result.outcome is Outcome.PASSED]
