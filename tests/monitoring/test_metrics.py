"""Test the values in /metrics and who may read them."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.orm import Session

from skymailing import counters, jobs, queue
from skymailing.clock import utcnow
from skymailing.models import CallState, EndpointState, MailingState, User
from tests.security.object_factories import make_webhook_call
from tests.support.factories import MailingFactory, create_clients
from tests.support.servers import RedisServer, SmtpServer


def read_metrics(visitor: FlaskClient) -> dict[tuple[str, str], float]:
    """Return every sample, by name and label values."""
    response = visitor.get("/metrics")
    assert response.status_code == 200
    return {
        (sample.name, " ".join(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_metrics_count_a_runs_letters(
    app: Flask, session: Session, user: User, visitor: FlaskClient, work: Callable[[], None], smtp: SmtpServer
) -> None:
    deferred, _, refused = create_clients(user, 3)
    smtp.rcpt_replies[refused.email] = "550 5.7.1 no"
    smtp.rcpt_replies[deferred.email] = "451 later"
    mailing = MailingFactory.create(owner=user, state=MailingState.SCHEDULED, next_run_at=utcnow())
    before = read_metrics(visitor)
    assert before["skymailing_oldest_due_age_seconds", ""] > 0

    with app.app_context():
        queue.enqueue("start_mailing", mailing.id)
    work()
    with app.app_context():
        jobs.run_sweep(utcnow())

    after = read_metrics(visitor)
    assert after["skymailing_deliveries", "sent"] == 1
    assert after["skymailing_deliveries", "failed"] == 1
    assert after["skymailing_deliveries", "deferred"] == 1
    assert after["skymailing_attempts_total", "2xx sent"] == 1
    assert after["skymailing_attempts_total", "5xx failed"] == 1
    assert after["skymailing_attempts_total", "4xx deferred"] == 1
    assert after["skymailing_smtp_seconds_count", "letter"] == 3
    assert after["skymailing_smtp_seconds_count", "open"] >= 1
    assert after["skymailing_route_state", "primary closed"] == 1
    assert after["skymailing_oldest_due_age_seconds", ""] == 0
    assert after["skymailing_hits_lost_total", ""] == 0
    assert abs(after["skymailing_last_sweep_timestamp_seconds", ""] - utcnow().timestamp()) < 30


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("192.0.2.1", {}),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.1"}),
        ("127.0.0.1", {"Forwarded": "for=x"}),
    ],
)
def test_metrics_are_not_available_to_other_hosts(
    visitor: FlaskClient, address: str, headers: dict[str, str]
) -> None:
    response = visitor.get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": address})
    assert response.status_code == 404


def test_if_a_token_is_set_only_the_token_gives_access(
    app: Flask, visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "METRICS_TOKEN", "sesame")
    elsewhere = {"REMOTE_ADDR": "192.0.2.1"}

    correct = visitor.get("/metrics", headers={"Authorization": "Bearer sesame"}, environ_base=elsewhere)
    wrong = visitor.get("/metrics", headers={"Authorization": "Bearer seed"}, environ_base=elsewhere)
    none = visitor.get("/metrics")

    assert (correct.status_code, wrong.status_code, none.status_code) == (200, 404, 404)


def test_without_redis_the_database_metrics_remain(
    app: Flask,
    session: Session,
    visitor: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
    redis_server: RedisServer,
) -> None:
    monkeypatch.setitem(app.config, "REDIS_URL", "unix:///nowhere/redis.sock")
    monkeypatch.delitem(app.extensions, "skymailing_redis", raising=False)

    numbers = read_metrics(visitor)

    assert numbers["skymailing_redis_up", ""] == 0
    assert numbers["skymailing_deliveries", "sent"] == 0
    app.extensions.pop("skymailing_redis")


def test_calls_of_webhooks_are_counted(
    app: Flask, session: Session, user: User, visitor: FlaskClient
) -> None:
    waiting = make_webhook_call(user)
    waiting.state, waiting.due_at = CallState.PENDING, utcnow() - timedelta(minutes=2)
    waiting.endpoint.state = EndpointState.ENABLED
    session.flush()
    metrics = read_metrics(visitor)
    assert metrics["skymailing_webhook_calls_waiting", ""] == 1
    assert 100 < metrics["skymailing_webhook_oldest_due_age_seconds", ""] < 1000
    with app.app_context():
        counters.add({"webhook_calls:fault": 2})
    assert read_metrics(visitor)["skymailing_webhook_calls_total", "fault"] == 2
    assert read_metrics(visitor)["skymailing_webhook_calls_total", "accepted"] == 0
