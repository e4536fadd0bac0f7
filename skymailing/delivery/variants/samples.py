"""Choose the clients who get the variants of a run's letter, and find their deliveries.

The choice is computed by the database while the run is planned, and is the same on both databases. It depends
on the client and the run, so that each run of a mailing has a different sample.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, literal_column

from skymailing.models import Delivery, Run

# A prime below 2 ** 31, so that no product exceeds 64 bits. Modulo this prime, the cubes of all numbers below
# it are different.
PRIME = 2_147_483_579

# The same text as in the indexes: with parameters, the databases would not use them.
IN_SAMPLE: ColumnElement[bool] = Delivery.variant.is_not(None)
IS_PENDING_IN_SAMPLE: ColumnElement[bool] = (Delivery.state == literal_column("'pending'")) & IN_SAMPLE


def sent_variant() -> ColumnElement[int]:
    """Return the variant that a delivery's letter contains, in a statement with its run; 0 without a test."""
    return func.coalesce(Delivery.variant, Run.winner, 0)


def is_testing() -> ColumnElement[bool]:
    """Return the condition that only the sample of a run may be sent, until its test is decided."""
    return Run.test_ends_at.is_not(None) & Run.winner.is_(None)


@dataclass(frozen=True, slots=True)
class Sample:
    """The sample of a run: its share of the clients in percent, and the number of variants."""

    run: UUID
    percent: int
    variants: int

    def variant_of(self, client_id: Any) -> ColumnElement[int | None]:
        """Return the variant of a client, given by a column or a number; NULL outside the sample."""
        place = scatter(client_id, self.run)
        ends = [self._end_of(number) for number in range(1, self.variants + 1)]
        return case(*((place < end, number) for number, end in enumerate(ends, 1)))

    def choose(self, client_id: int) -> int | None:
        """Return the variant of one client, as the database computes it."""
        place = scatter(client_id, self.run)
        numbers = range(1, self.variants + 1)
        return next((number for number in numbers if place < self._end_of(number)), None)

    def _end_of(self, number: int) -> int:
        return PRIME * self.percent * number // (100 * self.variants)


def scatter(client_id: Any, run: UUID) -> Any:
    """Return a number below PRIME that looks random; the same in SQL as in Python."""
    first, second, third = (1 + (run.int >> shift) % (PRIME - 1) for shift in (0, 32, 64))
    mixed = ((client_id % PRIME) * first + second) % PRIME
    cube = mixed * mixed % PRIME * mixed % PRIME
    return (cube * third + first) % PRIME
