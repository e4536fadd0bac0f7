"""Limit how many clients an import may add."""

from skymailing.quotas.checks import LimitReached, count_up_to, select_clients
from skymailing.settings.quotas import quota_settings

LITTLE_ROOM = 20_000  # if the owner may add fewer clients, they are counted after each batch


class ClientLimit:
    """The number of clients that the owner may still add.

    Clients are counted at the start and, near the limit, after each batch: counting a million clients takes
    longer than importing a batch.
    """

    def __init__(self, owner_id: int) -> None:
        self.owner_id = owner_id
        self._limit = quota_settings().clients
        self._left = self._count() if self._limit else 0

    def use(self, created: int) -> None:
        """Count clients that this transaction has created; raises LimitReached if there are too many."""
        if not self._limit or not created:
            return
        self._left -= created
        if self._left < LITTLE_ROOM:
            self._left = self._count()
        if self._left < 0:
            raise LimitReached("client_limit", self._limit)

    def _count(self) -> int:
        return self._limit - count_up_to(select_clients(self.owner_id), self._limit + 1)
