"""Check the sender's address, and its domain's DNS records as of their last check."""

from dataclasses import dataclass

from skymailing.checkup.results import PASSED, Result, advise, warn
from skymailing.domains.records import Purpose
from skymailing.models import RecordState, SendingDomain
from skymailing.models.probe import ProbeArrival, SignatureFault


@dataclass(frozen=True, slots=True)
class Source:
    """The address that letters come from; the service's own address has no `domain` of the owner."""

    host: str  # the part of the address after the @
    is_own: bool  # not the service's address
    has_own_server: bool
    free_mail: str  # the host, if it is a mail service whose addresses only its own servers may use
    domain: SendingDomain | None
    has_key: bool  # whether we sign, or the mail server does according to the owner

    @property
    def domain_id(self) -> int:
        return self.domain.id if self.domain else 0

    def find_state(self, purpose: Purpose) -> RecordState:
        """Return the state of a record at the last check of the domain."""
        finding = self.domain.findings.get(purpose, {}) if self.domain else {}
        return RecordState(finding.get("state", RecordState.UNKNOWN))


def check_free_mail(source: Source) -> Result | None:
    if source.free_mail:
        return warn(host=source.free_mail)
    return PASSED if source.is_own else None


def check_ownership(source: Source) -> Result | None:
    """Find verified domains whose record is missing: their senders stop working within days."""
    if source.domain is None:
        return None
    return warn(host=source.host, id=source.domain_id) if source.domain.missing_since else PASSED


def check_signature(source: Source) -> Result | None:
    """Find letters without a signature (DKIM) of the sender's domain."""
    if source.domain is None or source.free_mail:
        return None
    problem = warn(host=source.host, id=source.domain_id)
    if source.domain.is_signed:
        state = source.find_state(Purpose.SIGNATURE)
        if not source.has_key or state in (RecordState.MISSING, RecordState.WRONG):
            return problem
        return PASSED if state is RecordState.FOUND else None
    arrival = ProbeArrival.of(source.domain.probe)
    if arrival is None:  # according to its owner, the mail server signs, but no test email has confirmed it
        return None
    faults = {SignatureFault.MISSING, SignatureFault.NOT_ALIGNED, SignatureFault.INVALID}
    return problem if faults & set(arrival.faults) else PASSED


def check_domain_is_known(source: Source) -> Result | None:
    """Find addresses whose domain is not set up, so that nothing signs their letters."""
    if not source.is_own or source.has_own_server or source.free_mail:
        return None
    return warn(host=source.host) if source.domain is None else PASSED


def check_policy(source: Source) -> Result | None:
    """Find domains without a DMARC record."""
    state = source.find_state(Purpose.POLICY)
    if state is RecordState.UNKNOWN:
        return None
    return PASSED if state is RecordState.FOUND else advise(host=source.host, id=source.domain_id)
