"""Test the schema on both databases, and the state machines."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from config import TestingConfig
from skymailing import create_app
from skymailing.db import migrations
from skymailing.errors import IllegalTransition
from skymailing.extensions import db
from skymailing.models import DELIVERY_TRANSITIONS, Client, DeliveryState, User
from tests.support.factories import ClientFactory, UserFactory


@pytest.fixture
def empty_app(environment: dict[str, str], app: Flask, tmp_path: Path) -> Flask:
    """Return an app with an empty database of the same kind."""
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    if not environment["DATABASE_URL"].startswith("sqlite"):
        with app.app_context(), db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as admin:
            admin.execute(text("DROP DATABASE IF EXISTS empty"))
            admin.execute(text("CREATE DATABASE empty"))
            url = db.engine.url.set(database="empty").render_as_string(hide_password=False)
    return create_app(TestingConfig(environment | {"DATABASE_URL": url}))


def test_migrations_upgrade_match_the_models_and_downgrade(empty_app: Flask) -> None:
    runner = empty_app.test_cli_runner()
    with empty_app.app_context():
        migrations.upgrade()
        assert set(inspect(db.engine).get_table_names()) >= set(db.metadata.tables)
        check = runner.invoke(args=["db", "check"])
        assert check.exit_code == 0, check.output
        migrations.downgrade("base")
        assert inspect(db.engine).get_table_names() == ["alembic_version"]
        migrations.upgrade()
        db.engine.dispose()


def test_an_owner_cannot_have_two_clients_with_the_same_address_in_different_case(
    session: Session, user: User
) -> None:
    ClientFactory.create(owner=user, email="Anna@example.org")

    with pytest.raises(IntegrityError):
        ClientFactory.create(owner=user, email="anna@EXAMPLE.org")
    session.rollback()

    ClientFactory.create(owner=UserFactory.create(), email="anna@example.org")


def test_datetimes_are_loaded_aware_and_in_utc(session: Session, user: User) -> None:
    moscow = timezone(timedelta(hours=3))
    user.confirmed_at = datetime(2026, 11, 22, 12, 0, tzinfo=moscow)
    session.flush()
    session.refresh(user)

    assert user.confirmed_at == datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
    assert user.confirmed_at.tzinfo is UTC


def test_naive_datetimes_are_rejected() -> None:
    from skymailing.models.types import UTCDateTime

    with pytest.raises(ValueError, match="naive"):
        UTCDateTime().process_bind_param(datetime(2026, 1, 1), None)  # type: ignore[arg-type]  # the dialect is not used


def test_the_database_rejects_a_value_outside_the_enum(session: Session, user: User) -> None:
    with pytest.raises(IntegrityError):
        session.execute(text("UPDATE users SET role = 'emperor'"))
    session.rollback()


def test_deleting_a_user_deletes_their_clients(session: Session, user: User) -> None:
    ClientFactory.create(owner=user)
    session.execute(text("DELETE FROM users WHERE id = :id"), {"id": user.id})

    assert session.query(Client).count() == 0


@pytest.mark.parametrize(("old", "new"), list(product(DeliveryState, DeliveryState)))
def test_a_delivery_changes_state_only_as_the_table_allows(old: DeliveryState, new: DeliveryState) -> None:
    class Row:
        state = old

    row = Row()
    if DELIVERY_TRANSITIONS.allows(old, new):
        DELIVERY_TRANSITIONS.move(row, new)
        assert row.state is new
        assert old in DELIVERY_TRANSITIONS.sources(new)
    else:
        with pytest.raises(IllegalTransition):
            DELIVERY_TRANSITIONS.move(row, new)
        assert row.state is old


def test_sent_is_a_final_state() -> None:
    assert not any(DELIVERY_TRANSITIONS.allows(DeliveryState.SENT, new) for new in DeliveryState)
