"""Test how errors that end an import are shown to its owner."""

import io

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.clients import imports, tasks
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

        def refuse(*_arguments: object) -> None:
            raise error

        monkeypatch.setattr(tasks, "open_table", refuse)
        assert tasks.run_import_slice(import_id) is False
    import_ = session.get_one(ClientImport, import_id)
    assert import_.state is ImportState.FAILED
    assert text in browser.get(f"/clients/imports/{import_id}").text
