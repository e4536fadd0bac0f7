"""Test what the checks say about the sender's address and domain."""

from datetime import UTC, datetime
from typing import Any

import pytest

from skymailing.checkup.registry import SENDER_CHECKS, run_checks
from skymailing.checkup.results import Outcome
from skymailing.checkup.sender_checks import Source
from skymailing.domains.records import Purpose
from skymailing.models import RecordState, SendingDomain
from skymailing.models.probe import ProbeArrival, Signature

pytestmark = pytest.mark.one_engine

FOUND = {purpose.value: {"state": RecordState.FOUND.value} for purpose in Purpose}
SIGNED = Signature("shop.ru", frozenset({"from", "list-unsubscribe", "list-unsubscribe-post"}))


def make_domain(**values: Any) -> SendingDomain:
    defaults = {"id": 5, "name": "shop.ru", "findings": FOUND, "is_signed": True, "probe": {}}
    return SendingDomain(**defaults | values)


def find(state: RecordState, purpose: Purpose) -> SendingDomain:
    return make_domain(findings=FOUND | {purpose.value: {"state": state.value}})


def arrive(*signatures: Signature, has_failed: bool = False) -> SendingDomain:
    """Return a domain whose mail server signs, after a test email with these signatures."""
    arrival = ProbeArrival("shop.ru", signatures, True, has_failed)
    return make_domain(is_signed=False, findings={}, probe={"arrival": arrival.to_json()})


def check(**values: Any) -> dict[str, Outcome]:
    defaults: dict[str, Any] = {
        "is_own": True,
        "has_own_server": False,
        "free_mail": "",
        "domain": make_domain(),
    }
    source = Source("shop.ru", **defaults | {"has_key": True} | values)
    return {one.code: one.result.outcome for one in run_checks(SENDER_CHECKS, source)}


def test_a_complete_domain_passes_all_checks() -> None:
    assert set(check().values()) == {Outcome.PASSED}
    assert len(check()) == len(SENDER_CHECKS)


def test_nothing_is_said_about_the_services_own_address() -> None:
    assert check(is_own=False, domain=None, has_key=False) == {}


def test_an_address_at_a_mail_service_is_the_only_problem() -> None:
    found = check(free_mail="gmail.com", domain=None, has_key=False)
    assert found == {"free_mail": Outcome.PROBLEM}


def test_an_unknown_domain_is_a_problem_unless_its_own_server_signs() -> None:
    assert check(domain=None, has_key=False)["domain_is_known"] is Outcome.PROBLEM
    found = check(domain=None, has_key=False, has_own_server=True)
    assert found == {"free_mail": Outcome.PASSED}


@pytest.mark.parametrize(
    ("domain", "has_key", "outcome"),
    [
        (find(RecordState.MISSING, Purpose.SIGNATURE), True, Outcome.PROBLEM),
        (find(RecordState.WRONG, Purpose.SIGNATURE), True, Outcome.PROBLEM),
        (find(RecordState.UNKNOWN, Purpose.SIGNATURE), True, None),
        (find(RecordState.UNKNOWN, Purpose.SIGNATURE), False, Outcome.PROBLEM),
        (make_domain(is_signed=False), True, None),
        (arrive(SIGNED), True, Outcome.PASSED),
        (arrive(SIGNED, has_failed=True), True, Outcome.PROBLEM),
        (arrive(Signature("mailer.example", SIGNED.headers)), True, Outcome.PROBLEM),
        (arrive(), True, Outcome.PROBLEM),
    ],
)
def test_the_signature_is_judged_by_what_was_seen(
    domain: SendingDomain, has_key: bool, outcome: Outcome | None
) -> None:
    assert check(domain=domain, has_key=has_key).get("signature") is outcome


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (RecordState.FOUND, Outcome.PASSED),
        (RecordState.MISSING, Outcome.ADVICE),
        (RecordState.WRONG, Outcome.ADVICE),
        (RecordState.UNKNOWN, None),
    ],
)
def test_a_missing_policy_is_reported(state: RecordState, outcome: Outcome | None) -> None:
    assert check(domain=find(state, Purpose.POLICY)).get("policy") is outcome


def test_a_lost_proof_is_a_problem() -> None:
    lost = make_domain(missing_since=datetime(2026, 11, 1, tzinfo=UTC))
    assert check(domain=lost)["ownership"] is Outcome.PROBLEM
