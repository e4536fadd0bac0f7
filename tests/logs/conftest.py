"""Capture log output as JSON and as text."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from skymailing.logs.output import JsonFormatter, TextFormatter
from skymailing.logs.redaction import Redactor, secrets_of


class Lines:
    """Everything logged since the test began, as JSON and as text."""

    def __init__(self, redactor: Redactor) -> None:
        self.json_handler = logging.StreamHandler(io.StringIO())
        self.json_handler.setFormatter(JsonFormatter(redactor))
        self.text_handler = logging.StreamHandler(io.StringIO())
        self.text_handler.setFormatter(TextFormatter(redactor))
        for handler in self.handlers:
            # Ignore the tests' own mail server, which may log at any time.
            handler.addFilter(lambda record: record.name != "mail.log")

    @property
    def handlers(self) -> list[logging.Handler]:
        return [self.json_handler, self.text_handler]

    @property
    def raw(self) -> str:
        return str(self.json_handler.stream.getvalue())

    @property
    def text(self) -> str:
        return str(self.text_handler.stream.getvalue())

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.raw.split("\n") if line]

    def from_logger(self, logger: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if entry["logger"] == logger]


@pytest.fixture
def lines(app: Flask) -> Iterator[Lines]:
    root = logging.getLogger()
    previous_level = root.level
    captured = Lines(Redactor(secrets_of(app.config)))
    for handler in captured.handlers:
        root.addHandler(handler)
        handler.addFilter(lambda record: not record.name.startswith("factory"))
    root.setLevel(logging.DEBUG)
    yield captured
    root.setLevel(previous_level)
    for handler in captured.handlers:
        root.removeHandler(handler)
