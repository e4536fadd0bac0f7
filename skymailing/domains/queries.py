"""Read an owner's sending domains."""

from collections.abc import Sequence

from sqlalchemy import select

from skymailing.extensions import db
from skymailing.models import Sender, SendingDomain


def list_domains(owner_id: int) -> list[SendingDomain]:
    """Return the owner's domains, ordered by name."""
    statement = select(SendingDomain).where(SendingDomain.owner_id == owner_id)
    return list(db.session.scalars(statement.order_by(SendingDomain.name)))


def covers(domain: SendingDomain, address_key: str) -> bool:
    """Return whether an address belongs to the domain or to one of its subdomains."""
    host = address_key.rpartition("@")[2]
    return host == domain.name or host.endswith(f".{domain.name}")


def find_covering(domains: Sequence[SendingDomain], address_key: str) -> SendingDomain | None:
    """Return the most specific verified domain that covers an address."""
    fitting = (domain for domain in domains if domain.is_verified and covers(domain, address_key))
    return max(fitting, key=lambda domain: len(domain.name), default=None)


def is_signed(domains: Sequence[SendingDomain], address_key: str) -> bool:
    """Return whether we sign letters from the address, or, according to the owner, the mail server does."""
    domain = find_covering(domains, address_key)
    return domain is not None and (
        not domain.is_signed or any(key.published_at is not None for key in domain.keys)
    )


def is_domain_verified(owner_id: int, address_key: str) -> bool:
    """Return whether the owner has verified the address's domain, which confirms the address."""
    return find_covering(list_domains(owner_id), address_key) is not None


def count_dependent_senders(domain: SendingDomain) -> int:
    """Return how many senders are confirmed only because this domain is verified."""
    condition = (Sender.owner_id == domain.owner_id) & Sender.is_confirmed_by_domain
    keys = db.session.scalars(select(Sender.address_key).where(condition)).all()
    other_domains = [other for other in list_domains(domain.owner_id) if other.id != domain.id]
    return sum(covers(domain, key) and find_covering(other_domains, key) is None for key in keys)
