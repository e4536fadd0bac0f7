"""Test how errors that end an import are shown to its owner."""

import io
import itertools
import threading
from collections.abc import Iterator
from typing import BinaryIO

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.clients import imports, tasks
from skymailing.clients.columns import Columns
from skymailing.clients.files.csv_reader import Record
from skymailing.clients.mapping import Mapping
from skymailing.extensions import db
from skymailing.models import ClientImport, ImportState, User

CONTENT = b"email\nanna@example.com\n"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (imports.UnusableFile("import_too_many_columns", limit=100), "more than 100 columns"),
        (imports.UnusableFile("import_empty"), "is empty"),
    ],
    ids=["with values", "without values"],
)
def test_an_error_while_importing_is_shown_with_its_values(
    app: Flask,
    session: Session,
    user: User,
    browser: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
    error: imports.UnusableFile,
    text: str,
) -> None:
    with app.app_context():
        created = imports.create_import(
            user.id, "clients.csv", imports.inspect_table(io.BytesIO(CONTENT)), CONTENT
        )
        db.session.commit()
        import_id = created.id

        def fail(*_arguments: object) -> None:
            raise error

        monkeypatch.setattr(tasks, "open_table", fail)
        assert tasks.run_import_slice(import_id) is False
    import_ = session.get_one(ClientImport, import_id)
    assert import_.state is ImportState.FAILED
    assert text in browser.get(f"/clients/imports/{import_id}").text


def test_a_file_that_fails_midway_keeps_its_earlier_rows_and_ends_the_thread(
    app: Flask, session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"email\n" + b"".join(b"c%d@example.org\n" % number for number in range(10))
    monkeypatch.setattr(tasks, "BATCH_SIZE", 3)
    open_table = imports.open_table

    def fail_after_7_rows(source: BinaryIO, mapping: Mapping) -> tuple[Columns, Iterator[Record]]:
        columns, records = open_table(source, mapping)

        def read() -> Iterator[Record]:
            yield from itertools.islice(records, 7)
            raise imports.UnusableFile("import_too_many_columns", limit=100)

        return columns, read()

    with app.app_context():
        created = imports.create_import(
            user.id, "clients.csv", imports.inspect_table(io.BytesIO(content)), content
        )
        db.session.commit()
        monkeypatch.setattr(tasks, "open_table", fail_after_7_rows)
        assert tasks.run_import_slice(created.id) is False
        import_id = created.id
    import_ = session.get_one(ClientImport, import_id)
    assert (import_.state, import_.rows_done, import_.created) == (ImportState.FAILED, 6, 6)
    assert "more than 100 columns" in import_.error
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]
