"""Keep a worker's sessions on one route, as many as the mail server allows."""

import logging
import smtplib
import time
from datetime import datetime, timedelta

from flask import current_app

from skymailing.clock import utcnow
from skymailing.delivery import metrics
from skymailing.delivery.routing import owner_pauses, pace, routes, session_budget
from skymailing.delivery.routing.concurrency import Concurrency, SessionLimits
from skymailing.delivery.routing.route_memory import RouteMemory, set_no_pipelining, stop_using_return_paths
from skymailing.delivery.routing.routes import Admission, Fault, RouteChoice
from skymailing.delivery.routing.servers import ServerAccess
from skymailing.delivery.routing.session_budget import SessionBudget
from skymailing.delivery.smtp import connection
from skymailing.delivery.smtp.pipeline import Pipeline
from skymailing.delivery.smtp.pipelining import Pipelining, Trust
from skymailing.delivery.smtp.session import Journal, Result
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.errors import SkyMailingError
from skymailing.settings.engine import engine_settings

logger = logging.getLogger(__name__)

MAX_WAIT = 4.0  # seconds to wait for another worker to release a session
FIRST_PAUSE, MAX_PAUSE = 0.05, 0.5  # seconds between two checks while waiting


class NoSession(SkyMailingError):
    """Other workers are using all the sessions that the mail server allows."""

    def __init__(self, budget: SessionBudget) -> None:
        super().__init__("other workers are using all the sessions that the mail server allows")
        self.budget = budget


class SessionPool:
    """Open sessions on one route, kept between windows; as many as the server handles well."""

    def __init__(
        self, route: str, limits: SessionLimits, holder: str, server: ServerAccess | None = None
    ) -> None:
        self.route = route
        self.server = server  # None: one of the installation's servers
        # The address to which the tokens of return paths are added; empty if they are not used.
        self.bounce_address = ""
        self.settings = engine_settings()
        self.budget = SessionBudget(route, holder, self.settings, server.sessions if server else None)
        self.concurrency = Concurrency(
            limits.cap(server.sessions) if server else limits, self.settings.session_growth_letters
        )
        self._faults = routes.FaultShare(self.settings)
        self._accepted_letters = pace.Meter(self.settings)
        self._pipelining = Pipelining()
        self._pipeline: Pipeline | None = None

    def __len__(self) -> int:
        """The number of open sessions."""
        return len(self._pipeline) if self._pipeline else 0

    def reset(self) -> None:
        """Start again with one new session, for example after an outage."""
        self.disconnect()
        self.concurrency.reset()

    def connect(self, sender: str, journal: Journal, is_urgent: bool = False) -> Pipeline:
        """Return the pipeline with this worker's share of sessions, at most the target.

        Raises OSError if none can be opened, and NoSession if other workers have all of them. For an urgent
        letter, wait a while until another worker releases one.
        """
        if self._pipeline is None:
            self._pipeline = Pipeline(
                self._open, sender, journal, self.settings.letter_seconds, self._pipelining
            )
        self._pipeline.sender = sender
        deadline, pause = time.monotonic() + MAX_WAIT, FIRST_PAUSE
        try:
            while not self._open_share(self._pipeline, is_urgent, time.monotonic() + pause < deadline):
                time.sleep(pause)
                pause = min(2 * pause, MAX_PAUSE)
        except NoSession:
            self.disconnect()
            raise
        except OSError:
            self.disconnect()
            session_budget.forget(self.route)  # after an outage, the server may allow more sessions
            raise
        return self._pipeline

    def _open_share(self, pipeline: Pipeline, is_urgent: bool, may_wait: bool) -> bool:
        """Open or close sessions according to this worker's share; return whether there are any."""
        share = self.budget.request(len(pipeline), self.concurrency.target, is_urgent)
        count, refusal = len(pipeline), None
        try:
            # If opening is slow, continue with the sessions that are already open.
            pipeline.connect(share.now, time.monotonic() + self.settings.window_seconds)
        except OSError as error:
            if not self.budget.learn(len(pipeline), connection.is_busy(error)):
                raise
            refusal = error
            self.concurrency.target = max(1, len(pipeline))
        if len(pipeline) != count:
            self.budget.note(len(pipeline))
        if len(pipeline) or (may_wait and (share.later or is_urgent)):
            return len(pipeline) > 0
        if refusal and not share.others:
            raise refusal
        raise NoSession(self.budget)

    def _open(self) -> smtplib.SMTP:
        phases = connection.Phases()
        try:
            if self.server:
                return self.server.open(phases)
            return connection.open_smtp(
                current_app.config["MAIL_TIMEOUT"], routes.settings_of(self.route), phases
            )
        finally:
            metrics.count_opening(phases.seconds)

    def report_results(self, results: list[Result], chosen: RouteChoice) -> bool:
        """Report a window's results to the breaker; return whether the route may be used for more."""
        faults = [result for result in results if result.verdict is Verdict.ROUTE_FAULT]
        uninformative = {Verdict.ROUTE_FAULT, Verdict.RELEASED}
        successes = sum(result.code is not None and result.verdict not in uninformative for result in results)
        fault = _describe_fault(faults[0], chosen.owner_id) if faults else None
        if chosen.admission is Admission.TRIAL and fault and fault.blamed_owner_id is not None:
            owner_pauses.extend(self.route, chosen.owner_id, fault.reason, utcnow())
            return False
        self._faults.record(len(faults), successes)
        if successes:
            routes.report_success(self.route, utcnow(), chosen.owner_id if chosen.is_probe else None)
        if successes and chosen.admission is Admission.TRIAL:
            owner_pauses.end(self.route, chosen.owner_id)
        if fault:
            self._report(fault)
        return fault is None

    def learn_pace(self, results: list[Result], memory: RouteMemory, is_held_back: bool) -> None:
        """Slow down the route after a refusal at MAIL; speed it up again if the pace held letters back."""
        sent = sum(result.verdict is Verdict.SENT for result in results)
        refused = next((result for result in results if result.verdict is Verdict.THROTTLED), None)
        self._accepted_letters.add(sent)
        if refused:
            reply = f"{refused.code} {refused.answer}"
            pace.slow_down(self.route, reply, self._accepted_letters.estimate_rate(), utcnow())
        elif sent:
            pace.report_accepted(self.route, memory, is_held_back, utcnow())

    def apply_memory(self, memory: RouteMemory, now: datetime) -> None:
        """Use return-path tokens and pipelining only where they work; retry pipelining after a day."""
        configured = current_app.config["MAIL_BOUNCE_ADDRESS"]
        self.bounce_address = configured if configured == memory.bounce_address else ""
        if self._is_without_pipelining(memory, now):
            self._pipelining.trust = Trust.BROKEN
        elif self._pipelining.trust is Trust.BROKEN:
            self._pipelining.trust = Trust.UNPROVEN

    def learn_pipelining(self, memory: RouteMemory, now: datetime) -> None:
        """Store whether the server's pipelining works, if the last window has shown it."""
        trust = self._pipelining.trust
        if trust is Trust.BROKEN and not self._is_without_pipelining(memory, now):
            reason = self._pipelining.reason
            logger.warning("PIPELINING does not work on route %s: %s", self.route, reason)
            set_no_pipelining(self.route, now)
        elif trust is Trust.PROVEN and memory.step_by_step_since:
            set_no_pipelining(self.route, None)

    def learn_return_paths(self, results: list[Result]) -> None:
        """Stop using tokens in return paths if the server has refused one."""
        for result in results if self.bounce_address else ():
            if result.letter.return_path and result.verdict is Verdict.SENDER_REFUSED:
                reply = f"{result.code} {result.answer}"
                logger.warning("route %s refuses return paths with a token: %s", self.route, reply)
                stop_using_return_paths(self.route, reply)
                return

    def _is_without_pipelining(self, memory: RouteMemory, now: datetime) -> bool:
        since = memory.step_by_step_since
        return since is not None and now < since + timedelta(hours=self.settings.step_by_step_hours)

    def report_connection_error(self, error: OSError) -> None:
        """Report to the breaker that no session could be opened.

        The breaker of an owner's server opens at once: each further attempt could keep the worker waiting.
        """
        self._faults.record(1, 0)
        fault = Fault(connection.get_reply_code(error), connection.format_error(error))
        self._report(fault, must_open=self.server is not None)

    def _report(self, fault: Fault, must_open: bool = False) -> None:
        routes.report_fault(self.route, fault, utcnow(), must_open or self._faults.is_too_high())

    def release(self, only_scarce: bool = False) -> bool:
        """End all sessions, or only if the server allows few; return whether there were any."""
        if self._pipeline is None or (only_scarce and not self.budget.is_limited):
            return False
        self.disconnect()
        return True

    def disconnect(self) -> None:
        """End all sessions."""
        if self._pipeline is not None:
            self._pipeline.close()
            self.budget.leave()
        self._pipeline = None


def _describe_fault(result: Result, owner_id: int) -> Fault:
    return Fault(result.code, f"{result.code} {result.answer}", owner_id)
