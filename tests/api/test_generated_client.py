"""A Python client that is generated from the OpenAPI document, as in docs/api.md, performs the main tasks."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from tests.api.conftest import Program
from tests.support.servers import SmtpServer

pytestmark = pytest.mark.one_engine

PACKAGE = "generated_sky_mailing"


class Generated:
    """The generated package, with a client that sends requests to the app without a network."""

    def __init__(self, app: Flask, key: str) -> None:
        self.models = importlib.import_module(f"{PACKAGE}.models")
        arguments = {"transport": httpx.WSGITransport(app)}
        client: Any = importlib.import_module(f"{PACKAGE}.client")
        self.client = client.AuthenticatedClient("http://localhost", key, httpx_args=arguments)

    def call(self, operation: str, *arguments: Any, **options: Any) -> Any:
        """Call an operation, such as clients.list_clients; return the parsed response."""
        module: ModuleType = importlib.import_module(f"{PACKAGE}.api.{operation}")
        return vars(module)["sync"](*arguments, client=self.client, **options)


@pytest.fixture
def package(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Generate the package in a folder from which it can be imported."""
    # Not imported above: every process of a test run collects all tests, but only one runs these tests.
    import openapi_python_client
    from openapi_python_client.config import Config, ConfigFile, MetaType

    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(app.test_client().get("/api/openapi.json").json))
    settings = ConfigFile(post_hooks=[], package_name_override=PACKAGE)
    target = tmp_path / PACKAGE
    config = Config.from_sources(settings, MetaType.NONE, document, "utf-8", False, target)
    assert list(openapi_python_client.generate(config=config)) == []  # no part that it cannot parse
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture
def generated(app: Flask, program: Program, package: None) -> Generated:
    return Generated(app, program.key)


def test_a_generated_client_performs_the_main_tasks(
    generated: Generated, session: Session, smtp: SmtpServer, work: Callable[[], None]
) -> None:
    models, call = generated.models, generated.call
    rows = [
        models.ClientRow.from_dict({"email": f"c{n}@example.org", "full_name": f"C {n}", "tags": ["vip"]})
        for n in range(3)
    ]
    batch = call("client_batches.save_clients", body=models.ClientBatch(clients=rows))
    assert (batch.created, [result.verdict for result in batch.results]) == (3, ["created"] * 3)
    conditions = {"field": "tag", "op": "is", "value": "vip"}
    values: dict[str, Any] = {"name": "VIP", "conditions": conditions}
    segment = call("segments.create_segment", body=models.SegmentInput.from_dict(values))
    assert call("segments.count_segment", segment.id).count == 3
    values = {"subject": "Hello, {{ name }}", "body": "Hi {{ unsubscribe_url }}"}
    message = call("messages.create_message", body=models.NewMessage.from_dict(values))
    values = {
        "name": "News",
        "message_id": message.id,
        "audience": "segments",
        "include": [f"segment:{segment.id}"],
        "ends_at": (utcnow() + timedelta(days=1)).isoformat(),
    }
    mailing = call("mailings.create_mailing", body=models.NewMailing.from_dict(values))
    work()
    assert call("mailings.get_mailing", mailing.id).state == "finished"
    (run,) = call("runs.list_runs", mailing.id).data
    assert (run.planned, run.counts.sent) == (3, 3)
    attempts, after = [], dict[str, str]()
    while True:
        page = call("runs.list_run_attempts", run.id, limit=2, **after)
        attempts += page.data
        if page.next_ is None:
            break
        after = {"after": page.next_}
    assert [(attempt.email, attempt.outcome, attempt.code) for attempt in attempts] == [
        (f"c{n}@example.org", "sent", 250) for n in range(3)
    ]
    assert len(smtp.letters) == 3


def test_errors_are_parsed_too(generated: Generated) -> None:
    problem = generated.call("clients.get_client", 999)
    assert (problem.status, problem.code) == (404, "not_found")
