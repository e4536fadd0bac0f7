"""The letters that a worker claims in one transaction, and their results."""

import time
from dataclasses import dataclass, field

from skymailing.clock import utcnow
from skymailing.db.engine import reading_engine
from skymailing.db.retries import write_with_retries
from skymailing.delivery.journal import WorkerJournal
from skymailing.delivery.ledger import claims
from skymailing.delivery.ledger.claims import Claimed
from skymailing.delivery.ledger.open_runs import OpenRun
from skymailing.delivery.ledger.record import record_results
from skymailing.delivery.retry import UNCOUNTED
from skymailing.delivery.smtp.session import Letter, Result
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.extensions import db
from skymailing.models import StateReason
from skymailing.settings.engine import engine_settings


@dataclass
class Batch:
    """The letters of a lease and their results."""

    token: str
    claimed: list[Claimed]
    # When we last checked that the letters may be sent (monotonic clock). It is set before the claim is
    # committed, because the response to COMMIT may be delayed.
    checked_at: float
    results: list[Result] = field(default_factory=list)
    # The reason why further letters of the mailing would also fail, and the server's reply.
    pause: tuple[StateReason, str] | None = None

    def list_untried(self) -> list[Claimed]:
        """Return the letters that go back to pending because no attempt was counted."""
        tried = {result.letter.delivery_id for result in self.results if result.verdict not in UNCOUNTED}
        return [claimed for claimed in self.claimed if claimed.id not in tried]

    def confirm_letters(self, run: OpenRun, seconds: float) -> list[Claimed]:
        """Return the letters that may still be sent; check again if the last check is `seconds` old."""
        if time.monotonic() - self.checked_at < seconds:
            return self.claimed
        self.checked_at = time.monotonic()
        with reading_engine().connect() as connection:
            ids = claims.confirm(connection, run, self.token, utcnow())
        return [claimed for claimed in self.claimed if claimed.id in ids]

    def stop(self, reason: StateReason, detail: str) -> None:
        """Start no more letters, and pause the mailing once the results are recorded."""
        self.pause = self.pause or (reason, detail)

    def return_last_to_pending(self) -> None:
        """Return the last result's letter to pending: it was refused while the mailing was pausing."""
        self.results[-1] = self.results[-1]._replace(verdict=Verdict.RELEASED)

    def add_journaled(self, journal: WorkerJournal) -> None:
        """Add results that are only in the journal, because an exception prevented adding them here."""
        missing = self._list_without_result()
        lease = journal.read_lease()
        if lease and lease.token == self.token:
            self.results += lease.list_results(missing) + lease.assume_results(missing)

    def record(self, run: OpenRun, route: str) -> None:
        """Record all results and release the other letters; retry while the database is unavailable."""
        not_started = [
            Result(Letter(claimed.id, claimed.attempts + 1, claimed.email, b""), Verdict.RELEASED)
            for claimed in self._list_without_result()
        ]
        unknowns = {claimed.id: claimed.unknowns for claimed in self.claimed if claimed.unknowns}
        results = [*self.results, *not_started]

        def write() -> None:
            with db.engine.connect() as connection, connection.begin():
                record_results(connection, run, self.token, results, unknowns, route, utcnow())

        write_with_retries(write, engine_settings().record_patience_seconds)

    def _list_without_result(self) -> list[Claimed]:
        ended = {result.letter.delivery_id for result in self.results}
        return [claimed for claimed in self.claimed if claimed.id not in ended]
