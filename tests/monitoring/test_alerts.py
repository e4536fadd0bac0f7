"""Test that the alerts and the dashboard in deploy/ query only metrics that exist in /metrics."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml  # type: ignore[import-untyped]  # it has no types
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from promql_parser import MatchOp, VectorSelector
from sqlalchemy.orm import Session

from skymailing import counters, jobs, queue
from skymailing.clock import utcnow
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.models import (
    BreakerState,
    DeliveryState,
    LetterState,
    OutboxLetter,
    RunState,
    User,
)
from tests.monitoring.test_metrics import read_metrics
from tests.support.factories import MailingFactory, RunFactory, create_clients, create_run, due_mailing
from tests.support.servers import SmtpServer

DEPLOY = Path(__file__).parents[2] / "deploy"
# These are added by Prometheus and Grafana.
EXTERNAL_METRICS = {"up"}
EXTERNAL_LABELS = {"instance", "job"}
# All possible values of labels for which /metrics does not always show every value.
VALUES = {
    ("skymailing_route_state", "state"): {state.value for state in BreakerState},
    ("skymailing_deliveries", "state"): {state.value for state in DeliveryState},
    ("skymailing_attempts_total", "outcome"): {verdict.value for verdict in Verdict},
}


def read_alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def read_panels() -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = json.loads((DEPLOY / "grafana" / "skymailing.json").read_text())["panels"]
    return panels


def list_expressions() -> Iterator[tuple[str, str]]:
    for rule in read_alerts():
        yield rule["alert"], rule["expr"]
    for panel in read_panels():
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
            yield panel["title"], expression


def find_selectors(node: Any) -> Iterator[VectorSelector]:
    """Yield every selector in an expression."""
    if isinstance(node, VectorSelector):
        yield node
    for name in ("lhs", "rhs", "expr", "vector_selector", "args", "param"):
        inner = getattr(node, name, None)
        for part in inner if isinstance(inner, list) else [inner]:
            if part is not None:
                yield from find_selectors(part)


@pytest.fixture
def metrics(
    app: Flask, session: Session, user: User, visitor: FlaskClient, work: Callable[[], None], smtp: SmtpServer
) -> dict[str, set[str]]:
    """Return the labels of each metric, after a mailing and a sweep."""
    create_clients(user, 1)
    mailing = due_mailing(user)
    with app.app_context():
        queue.enqueue("start_mailing", mailing.id)
    work()
    with app.app_context():
        jobs.run_sweep(utcnow())
        counters.add({"removed:attempts": 1})
    families = text_string_to_metric_families(visitor.get("/metrics").text)
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def test_every_expression_is_valid_and_uses_existing_metrics(metrics: dict[str, set[str]]) -> None:
    for title, expression in list_expressions():
        selectors = list(find_selectors(promql_parser.parse(expression)))
        assert selectors, title
        for selector in selectors:
            if selector.name in EXTERNAL_METRICS:
                continue
            assert selector.name in metrics, f"{title}: no metric {selector.name}"
            for matcher in selector.matchers.matchers:
                if matcher.name in EXTERNAL_LABELS:
                    continue
                assert matcher.name in metrics[selector.name], f"{title}: no {matcher.name}"
                possible = VALUES.get((selector.name, matcher.name))
                if possible and matcher.op in (MatchOp.Equal, MatchOp.Re):
                    assert set(matcher.value.split("|")) <= possible, f"{title}: {matcher.value}"


def test_each_alert_has_a_severity_a_summary_and_documentation() -> None:
    manual = (DEPLOY.parent / "docs" / "monitoring.md").read_text()
    names = [rule["alert"] for rule in read_alerts()]
    assert len(set(names)) == len(names)
    for rule in read_alerts():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
        # An annotation can use only labels that the expression keeps.
        for label in re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])):
            assert label in rule["expr"] or label in EXTERNAL_LABELS, f"{rule['alert']}: {label}"
        assert f"`{rule['alert']}`" in manual


def test_ledgers_that_do_not_balance_are_counted(session: Session, user: User, visitor: FlaskClient) -> None:
    mailing = MailingFactory.create(owner=user)
    create_run(mailing, {DeliveryState.SENT: 2, DeliveryState.FAILED: 1})
    assert read_metrics(visitor)["skymailing_runs_not_closing", ""] == 0

    RunFactory.create(
        mailing__owner=user, planned=3, state=RunState.SENDING
    )  # its three deliveries may be pending
    assert read_metrics(visitor)["skymailing_runs_not_closing", ""] == 0

    RunFactory.create(mailing__owner=user, planned=3)  # no delivery may be pending in a finished run
    assert read_metrics(visitor)["skymailing_runs_not_closing", ""] == 1


def test_waiting_account_letters_and_their_age_are_measured(
    session: Session, user: User, visitor: FlaskClient
) -> None:
    now = utcnow()
    for state, minutes in ((LetterState.SENT, 90), (LetterState.PENDING, 20), (LetterState.PENDING, -5)):
        due_at = now - timedelta(minutes=minutes)
        session.add(
            OutboxLetter(
                user_id=user.id, to=user.email, template="verify-address", state=state, due_at=due_at
            )
        )
    session.flush()

    numbers = read_metrics(visitor)
    assert numbers["skymailing_outbox_waiting", ""] == 2
    assert 1190 < numbers["skymailing_outbox_oldest_due_age_seconds", ""] < 1300


def test_a_run_outside_its_sending_hours_is_not_overdue(
    session: Session, user: User, visitor: FlaskClient
) -> None:
    now = utcnow()
    yesterday = str((now - timedelta(days=1)).isoweekday())
    hours = {"weekdays": yesterday, "state": "running"}
    mailing = MailingFactory.create(owner=user, **hours)
    create_run(
        mailing, {DeliveryState.PENDING: 1}, state=RunState.SENDING, started_at=now - timedelta(hours=2)
    )
    assert read_metrics(visitor)["skymailing_oldest_due_age_seconds", ""] == 0

    mailing.weekdays = "1234567"
    session.flush()
    assert read_metrics(visitor)["skymailing_oldest_due_age_seconds", ""] > 7000
