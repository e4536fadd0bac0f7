"""Test that migrations keep the running version working.

A migration only expands the schema; a later one removes what is no longer used.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, create_engine, inspect, select, text
from sqlalchemy.orm import Session

from config import TestingConfig
from skymailing import create_app
from skymailing.clock import utcnow
from skymailing.db.migrations import DIRECTORY, downgrade, upgrade
from skymailing.extensions import db
from skymailing.models import (
    BulkAction,
    BulkChunk,
    BulkJob,
    BulkState,
    Client,
    DeliveryState,
    Removal,
    RemovalKind,
    UsageHour,
    UsageKind,
)
from skymailing.quotas.counting import hour_of
from skymailing.settings.database import write_json
from tests.auth.account_data import create_account_data
from tests.support import factories

# The last migration of the first released version. Since then, the service keeps running during upgrades. The
# migration 0006 itself is older, and serves as an example of a harmful migration.
FIRST_VERSION = "0006"
# A word in the docstring of a migration that removes columns or tables unused by the previous version.
CONTRACTS = "Contracts:"


class Schema:
    """Tables with their columns and keys, as the database reports them."""

    def __init__(self, engine: Engine) -> None:
        inspector = inspect(engine)
        self.columns = {
            (table, column["name"]): column
            for (_, table), columns in inspector.get_multi_columns().items()
            for column in columns
        }
        self.tables = {table for table, _ in self.columns}
        self.keys = {
            (table, tuple(key["column_names"]))
            for (_, table), keys in inspector.get_multi_unique_constraints().items()
            for key in keys
        }


def find_breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Return the changes that break a version that expects the old schema."""
    changes = [f"{table}.{name} is gone" for table, name in old.columns.keys() - new.columns.keys()]
    for (table, name), column in new.columns.items():
        before = old.columns.get((table, name))
        is_required = not column["nullable"] and column["default"] is None and not column.get("autoincrement")
        if before is None and table in old.tables and is_required:
            changes.append(f"{table}.{name} is new and required")
        elif before is not None and before["nullable"] and not column["nullable"]:
            changes.append(f"{table}.{name} now requires a value")
    changes += [
        f"{table}{key} must now be unique" for table, key in new.keys - old.keys if table in old.tables
    ]
    return sorted(changes)


@pytest.fixture
def empty_app(environment: dict[str, str], app: Flask, tmp_path: Path) -> Iterator[Flask]:
    """Yield an app with an empty database of the same kind."""
    url = f"sqlite:///{tmp_path / 'stepwise.db'}"
    with app.app_context():
        test_url = db.engine.url
    admin = create_engine(test_url, isolation_level="AUTOCOMMIT")
    if test_url.get_backend_name() == "postgresql":
        with admin.connect() as connection:
            connection.execute(text("DROP DATABASE IF EXISTS stepwise"))
            connection.execute(text("CREATE DATABASE stepwise"))
        url = test_url.set(database="stepwise").render_as_string(hide_password=False)
    stepwise = create_app(TestingConfig(environment | {"DATABASE_URL": url}))
    yield stepwise
    with stepwise.app_context():
        db.engine.dispose()
    admin.dispose()


def test_each_migration_keeps_the_previous_version_working(empty_app: Flask) -> None:
    scripts = [*ScriptDirectory(str(DIRECTORY)).walk_revisions()][::-1]
    with empty_app.app_context():
        upgrade("0005")
        older = Schema(db.engine)
        upgrade(FIRST_VERSION)
        schema = Schema(db.engine)
        assert "mailings.on_late is new and required" in find_breaking_changes(older, schema)
        harmful = {}
        for script in scripts[[item.revision for item in scripts].index(FIRST_VERSION) + 1 :]:
            upgrade(script.revision)
            schema, previous = Schema(db.engine), schema
            changes = find_breaking_changes(previous, schema)
            if changes and CONTRACTS not in (script.module.__doc__ or ""):
                harmful[script.revision] = changes

    assert harmful == {}


def test_a_version_stays_ready_while_the_schema_is_newer(visitor: FlaskClient, session: Session) -> None:
    current = session.scalar(text("SELECT version_num FROM alembic_version"))
    session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        response = visitor.get("/readyz")
    finally:
        session.execute(text("UPDATE alembic_version SET version_num = :current"), {"current": current})

    assert response.status_code == 200
    assert response.json is not None
    assert "from a newer version" in response.json["checks"]["database"]["reason"]


def test_users_that_exist_at_the_upgrade_do_not_get_the_limits_of_new_accounts(empty_app: Flask) -> None:
    with empty_app.app_context():
        upgrade("0015")
        with Session(db.engine) as session, session.begin():
            session.execute(
                text(
                    "INSERT INTO users (email, password_hash, role, name, locale, timezone, blocked_reason,"
                    " session_epoch, created_at, updated_at, confirmed_at)"
                    " VALUES ('old@example.com', '', 'user', '', '', 'UTC', '', 1, :now, :now, :now),"
                    " ('new@example.com', '', 'user', '', '', 'UTC', '', 1, :now, :now, NULL)"
                ),
                {"now": utcnow()},
            )
        upgrade("0018")
        with Session(db.engine) as session:
            rows = session.execute(text("SELECT email, trusted_at FROM users")).all()
        trusted = {row.email: row.trusted_at for row in rows}
        assert trusted["old@example.com"] is not None
        assert trusted["new@example.com"] is None, "its address has not been confirmed"


def test_json_that_was_stored_with_escapes_is_found_by_its_keys(empty_app: Flask) -> None:
    escaped = '{"\\u0433\\u043e\\u0440\\u043e\\u0434": "\\u041e\\u043c\\u0441\\u043a \\"1\\" \\n"}'
    unpaired = '{"old": "\\ud83d"}'  # SQLite cannot store it without the escape
    with empty_app.app_context():
        upgrade("0019")
        is_sqlite = db.engine.dialect.name == "sqlite"
        with Session(db.engine) as session, session.begin():
            session.execute(
                text(
                    "INSERT INTO users (id, email, password_hash, role, name, locale, timezone,"
                    " blocked_reason, session_epoch, created_at, updated_at)"
                    " VALUES (1, 'a@example.com', '', 'user', '', '', 'UTC', '', 1, :now, :now)"
                ),
                {"now": utcnow()},
            )
            for number, attributes in enumerate([escaped, unpaired] if is_sqlite else [escaped]):
                session.execute(
                    text(
                        "INSERT INTO clients (owner_id, email, email_key, full_name, comment, attributes,"
                        " created_at, updated_at) VALUES (1, :email, :email, '', '', :attributes, :now, :now)"
                    ),
                    {"email": f"{number}@example.com", "attributes": attributes, "now": utcnow()},
                )
        upgrade("0021")
        with Session(db.engine) as session:
            found = session.scalars(
                select(Client.attributes).where(Client.attributes["город"].as_string().like("Омск%"))
            ).all()
            stored = session.scalars(text("SELECT CAST(attributes AS TEXT) FROM clients ORDER BY id")).all()
    assert found == [{"город": 'Омск "1" \n'}]
    assert "город" in stored[0]
    assert not is_sqlite or stored[1] == unpaired


def test_letters_accepted_before_the_upgrade_are_counted_by_owner_and_hour(empty_app: Flask) -> None:
    hour = hour_of(utcnow()) - timedelta(hours=5)
    with empty_app.app_context():
        upgrade()
        engine = create_engine(db.engine.url, isolation_level="AUTOCOMMIT", json_serializer=write_json)
        with Session(engine, expire_on_commit=False) as session:
            factories.bind(session, empty_app)
            mailings = [factories.MailingFactory.create(), factories.MailingFactory.create()]
            for mailing in mailings:
                run = factories.create_run(mailing, {}, started_at=hour - timedelta(days=32))
                with factories.count_changes(run) as changes:
                    changes.move(DeliveryState.SENT, 1000, hour - timedelta(days=32))
                    changes.move(DeliveryState.SENT, 3, hour)
                    changes.move(DeliveryState.SENT, 4, hour + timedelta(minutes=59, seconds=59))
                    changes.move(DeliveryState.SENT, 5, hour + timedelta(hours=1))
                    changes.add("returned", 20, hour + timedelta(hours=1))
                    changes.move(DeliveryState.FAILED, 30, hour + timedelta(hours=2))
            for _attempt in range(2):
                downgrade("0076")
                assert session.scalars(select(UsageHour)).all() == []
                upgrade()
                rows = session.execute(
                    select(UsageHour.owner_id, UsageHour.kind, UsageHour.begins_at, UsageHour.count)
                )
                assert set(rows.tuples()) == {
                    (mailing.owner_id, UsageKind.ACCEPTED, begins_at, count)
                    for mailing in mailings
                    for begins_at, count in ((hour, 7), (hour + timedelta(hours=1), 5))
                }
        engine.dispose()


def test_a_downgrade_keeps_the_data_of_the_older_version(app: Flask, empty_app: Flask) -> None:
    """Rebuilding a table on SQLite drops the old one, which must neither cascade nor lose triggers."""
    with empty_app.app_context():
        upgrade()
        engine = create_engine(db.engine.url, isolation_level="AUTOCOMMIT", json_serializer=write_json)
    with Session(engine, expire_on_commit=False) as session:
        factories.bind(session, empty_app)
        create_account_data(session, factories.UserFactory.create())
        before, triggers = count_rows(session), list_triggers(session)
        with empty_app.app_context():
            with pytest.raises(SystemExit):
                downgrade("0036")  # a mailing has a topic, which people may have left
            assert count_rows(session) == before
            session.execute(text("UPDATE mailings SET topic_id = NULL"))
            downgrade("0036")
            known = set(count_rows(session))
            assert {"clients", "mailings", "runs", "deliveries", "attempts", "consents"} <= known
            assert count_rows(session) == {table: before[table] for table in known}
            upgrade()
        assert count_rows(session).keys() == before.keys()
        assert list_triggers(session) == triggers
        assert session.scalar(text("SELECT count(*) FROM topics")) == 0
    engine.dispose()


def test_a_downgrade_deletes_the_actions_that_the_older_version_cannot_read(empty_app: Flask) -> None:
    with empty_app.app_context():
        upgrade()
        with Session(db.engine, expire_on_commit=False) as session:
            factories.bind(session, empty_app)
            owner_id = factories.UserFactory.create().id
            for action, state in ((BulkAction.TAG, BulkState.RUNNING), (BulkAction.SET, BulkState.FINISHED)):
                job = BulkJob(owner_id=owner_id, action=action, state=state, total=1, field="city")
                session.add(job)
                session.flush()
                session.add(BulkChunk(job_id=job.id, number=0, content=[1]))
            for kind in (RemovalKind.BULK, RemovalKind.TAG):
                content = {"action": "set", "clients": []}
                session.add(Removal(owner_id=owner_id, kind=kind, content=content, removed_at=utcnow()))
            session.commit()
        downgrade("0075")
        with Session(db.engine) as session:
            assert session.scalars(text("SELECT action FROM bulk_jobs")).all() == ["tag"]
            assert session.scalar(text("SELECT count(*) FROM bulk_chunks")) == 1
            assert session.scalars(text("SELECT kind FROM removals")).all() == ["tag"]


def count_rows(session: Session) -> dict[str, int]:
    tables = inspect(session.connection()).get_table_names()
    return {table: session.scalar(text(f'SELECT count(*) FROM "{table}"')) or 0 for table in tables}


def list_triggers(session: Session) -> set[str]:
    if session.connection().dialect.name == "sqlite":
        return set(session.scalars(text("SELECT sql FROM sqlite_master WHERE type = 'trigger'")))
    return set(session.scalars(text("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")))
