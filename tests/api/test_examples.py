"""The examples of docs/api.md, run unchanged against a real web server."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Client, ClientImport
from tests.api.conftest import Program
from tests.caching.web_process import WebProcess
from tests.support.factories import ClientFactory
from tests.support.servers import SmtpServer

pytestmark = pytest.mark.one_engine

PROJECT_DIR = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def web(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:
    process = WebProcess(environment, tmp_path_factory.mktemp("web") / "web.log")
    process.start()
    try:
        process.wait_until_ready()
        yield process
    finally:
        process.stop()


@pytest.fixture
def variables(web: WebProcess, program: Program) -> dict[str, str]:
    """Return the environment in which the examples run."""
    return {"PATH": os.environ["PATH"], "SKYMAILING": web.url, "SKYMAILING_KEY": program.key}


def read_examples(language: str) -> list[str]:
    text = (PROJECT_DIR / "docs/api.md").read_text()
    return [code for name, code in BLOCK.findall(text) if name == language]


def test_the_examples_with_curl(
    variables: dict[str, str], session: Session, work: Callable[[], None], tmp_path: Path
) -> None:
    first, second = read_examples("sh")
    run = subprocess.run(
        ["sh", "-ec", first], env=variables, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert '"created":1' in run.stdout
    assert session.scalars(select(Client.email)).all() == ["anna@example.org"]
    assert session.scalars(select(ClientImport.filename)).all() == ["clients.csv"]
    work()
    assert sorted(session.scalars(select(Client.email))) == ["anna@example.org", "bo@example.org"]
    download = second.splitlines()[0]
    subprocess.run(["sh", "-ec", download], env=variables, cwd=tmp_path, check=True)
    assert '"openapi":"3.1.0"' in (tmp_path / "openapi.json").read_text()


def test_the_example_in_python(
    variables: dict[str, str], program: Program, session: Session, smtp: SmtpServer, work: Callable[[], None]
) -> None:
    program.write("POST", "/clients/batch", {"clients": [{"email": "anna@example.org", "tags": ["vip"]}]})
    ClientFactory.create()
    (code,) = read_examples("python")
    process = subprocess.Popen([sys.executable, "-c", code], env=variables, stdout=subprocess.PIPE, text=True)
    while process.poll() is None:
        work()
    output, _errors = process.communicate()
    assert process.returncode == 0
    assert output == "anna@example.org sent 250 2.0.0 queued as 1\n"
    assert len(smtp.letters) == 1
