"""Collect the metrics for `/metrics`."""

import shutil
from collections.abc import Iterator
from datetime import datetime

from flask import current_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from redis import RedisError

from skymailing import counters, queue, schedule
from skymailing.delivery.metrics import BUCKETS, PHASES
from skymailing.models import BreakerState
from skymailing.monitoring import queries
from skymailing.returns.verdicts import Verdict

# The counters that have no labels.
COUNTERS = {
    "leases_expired": "Letters whose worker died before recording their result",
    "miscounts": "Runs whose counts differed from their rows when they ended",
    "sequence_letters": "Emails planned by sequences",
}


class MetricsCollector:
    """Collect all metrics as of `now`."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def collect(self) -> Iterator[Metric]:
        yield from self._collect_from_database()
        yield from self._collect_letters()
        yield from self._collect_programs()
        yield from self._collect_disk()
        try:
            counted = counters.read()
            workers, waiting = queue.count_workers(), queue.count_waiting()
            scheduler = schedule.is_alive()
        except RedisError:
            yield GaugeMetricFamily("skymailing_redis_up", "Whether Redis responds", value=0)
            return
        yield GaugeMetricFamily("skymailing_redis_up", "Whether Redis responds", value=1)
        yield GaugeMetricFamily("skymailing_workers", "Connected workers", value=workers)
        yield GaugeMetricFamily(
            "skymailing_scheduler_up", "Whether a scheduler is running", value=int(scheduler)
        )
        yield self._make_queues(waiting)
        yield GaugeMetricFamily(
            "skymailing_last_sweep_timestamp_seconds",
            "When the last sweep ended",
            value=counted.get("last_sweep", 0),
        )
        for name, text in COUNTERS.items():
            yield CounterMetricFamily(f"skymailing_{name}", text, value=counted.get(name, 0))
        yield self._make_hits_lost(counted)
        yield self._make_attempts(counted)
        yield self._make_removed(counted)
        yield self._make_returned(counted)
        yield self._make_webhook_calls(counted)
        yield self._make_phases(counted)

    def _collect_from_database(self) -> Iterator[Metric]:
        deliveries = GaugeMetricFamily(
            "skymailing_deliveries", "Recipients of all runs by state", labels=["state"]
        )
        for state, count in queries.count_deliveries().items():
            deliveries.add_metric([state], count)
        yield deliveries
        oldest = queries.find_oldest_due(self.now)
        age = max(0.0, (self.now - oldest).total_seconds()) if oldest else 0.0
        yield GaugeMetricFamily(
            "skymailing_oldest_due_age_seconds", "How long the oldest due work has been waiting", value=age
        )
        states = GaugeMetricFamily(
            "skymailing_route_state", "1 for the current state of a route", labels=["route", "state"]
        )
        for name, current in queries.list_route_states().items():
            for possible in BreakerState:
                states.add_metric([name, possible], int(possible is current))
        yield states
        servers = GaugeMetricFamily(
            "skymailing_user_servers", "Mail servers of users by the state of their routes", labels=["state"]
        )
        counts = queries.count_server_states()
        for possible in BreakerState:
            servers.add_metric([possible], counts.get(possible, 0))
        yield servers

    def _collect_letters(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "skymailing_runs_not_closing",
            "Recent runs whose states do not add up to the planned count",
            value=queries.count_unbalanced_runs(),
        )
        yield GaugeMetricFamily(
            "skymailing_unknowns_waiting",
            "Unknown letters awaiting their owner's decision",
            value=queries.count_waiting_unknowns(),
        )
        yield GaugeMetricFamily(
            "skymailing_returned_unclear",
            "Returned letters that were not recognized, or await a decision",
            value=queries.count_unclear(),
        )
        yield GaugeMetricFamily(
            "skymailing_owners_paused",
            "Users whose mailings bounces or complaints have paused",
            value=queries.count_paused_owners(),
        )
        outbox = queries.measure_outbox(self.now)
        yield GaugeMetricFamily(
            "skymailing_outbox_waiting", "Account letters waiting to be sent", value=outbox.waiting
        )
        yield GaugeMetricFamily(
            "skymailing_outbox_oldest_due_age_seconds",
            "How long the oldest due account letter has been waiting",
            value=outbox.oldest_age,
        )

    def _collect_programs(self) -> Iterator[Metric]:
        oldest = queries.find_oldest_step(self.now)
        yield GaugeMetricFamily(
            "skymailing_sequences_oldest_due_age_seconds",
            "How long the oldest due email of a sequence has been waiting",
            value=max(0.0, (self.now - oldest).total_seconds()) if oldest else 0.0,
        )
        calls = queries.measure_webhook_calls(self.now)
        yield GaugeMetricFamily(
            "skymailing_webhook_calls_waiting", "Calls of webhooks waiting to be sent", value=calls.waiting
        )
        yield GaugeMetricFamily(
            "skymailing_webhook_oldest_due_age_seconds",
            "How long the oldest due call of a webhook has been waiting",
            value=calls.oldest_age,
        )

    def _collect_disk(self) -> Iterator[Metric]:
        usage = shutil.disk_usage(current_app.config["DATA_DIR"])
        for name, what, value in (("free", "Free", usage.free), ("size", "Total", usage.total)):
            yield GaugeMetricFamily(
                f"skymailing_disk_{name}_bytes", f"{what} bytes on the disk of DATA_DIR", value=value
            )

    def _make_queues(self, waiting: dict[str, int]) -> Metric:
        queues = GaugeMetricFamily("skymailing_queue_jobs", "Jobs waiting for a worker", labels=["queue"])
        for name, count in waiting.items():
            queues.add_metric([name], count)
        return queues

    def _make_hits_lost(self, counted: dict[str, float]) -> Metric:
        return CounterMetricFamily(
            "skymailing_hits_lost",
            "Clicks and opens not counted: Redis was unavailable, too many were waiting, or unreadable",
            value=counted.get("hits_lost", 0),
        )

    def _make_removed(self, counted: dict[str, float]) -> Metric:
        removed = CounterMetricFamily("skymailing_rows_removed", "Old rows removed, by kind", labels=["kind"])
        for name, count in sorted(counted.items()):
            if name.startswith("removed:"):
                removed.add_metric([name.removeprefix("removed:")], count)
        return removed

    def _make_returned(self, counted: dict[str, float]) -> Metric:
        returned = CounterMetricFamily(
            "skymailing_returned", "What returned letters report, by verdict", labels=["verdict"]
        )
        for verdict in Verdict:
            returned.add_metric([verdict], counted.get(f"returned:{verdict}", 0))
        return returned

    def _make_webhook_calls(self, counted: dict[str, float]) -> Metric:
        calls = CounterMetricFamily(
            "skymailing_webhook_calls", "Attempted calls of webhooks by outcome", labels=["outcome"]
        )
        for outcome in ("accepted", "fault"):
            calls.add_metric([outcome], counted.get(f"webhook_calls:{outcome}", 0))
        return calls

    def _make_attempts(self, counted: dict[str, float]) -> Metric:
        attempts = CounterMetricFamily(
            "skymailing_attempts", "Attempts by outcome and class of the reply", labels=["outcome", "code"]
        )
        for name, count in sorted(counted.items()):
            kind, _, rest = name.partition(":")
            if kind == "attempts":
                attempts.add_metric(rest.split(":"), count)
        return attempts

    def _make_phases(self, counted: dict[str, float]) -> Metric:
        histogram = HistogramMetricFamily(
            "skymailing_smtp_seconds",
            "Time at the mail server: opening a session, sending a letter, and the phases of both",
            labels=["phase"],
        )
        for phase in PHASES:
            total = 0.0
            buckets = []
            for number, bound in enumerate([*map(str, BUCKETS), "+Inf"]):
                total += counted.get(f"seconds:{phase}:{number}", 0)
                buckets.append((bound, total))
            histogram.add_metric([phase], buckets, sum_value=counted.get(f"seconds_sum:{phase}", 0))
        return histogram
