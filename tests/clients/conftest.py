"""Provide fixtures that import files."""

import io
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.clients import imports, tasks
from skymailing.extensions import db
from skymailing.models import ClientImport, User

Import = Callable[..., ClientImport]


@pytest.fixture
def context(app: Flask, session: Session) -> Iterator[None]:
    with app.app_context():
        yield


@pytest.fixture
def create(context: None, session: Session, user: User) -> Import:
    """Return a function that creates an import in the same way as the page."""

    def create_import(content: str | bytes, owner: User = user) -> ClientImport:
        data = content.encode() if isinstance(content, str) else content
        import_ = imports.create_import(
            owner.id, "clients.csv", imports.inspect_table(io.BytesIO(data)), data
        )
        db.session.commit()
        import_id = import_.id
        db.session.remove()
        return session.get_one(ClientImport, import_id)

    return create_import


@pytest.fixture
def run(create: Import, session: Session) -> Import:
    """Return a function that imports a whole file."""

    def run_import(content: str | bytes, **values: User) -> ClientImport:
        import_ = create(content, **values)
        assert tasks.run_import_slice(import_.id) is False
        db.session.remove()
        session.refresh(import_)
        return import_

    return run_import
