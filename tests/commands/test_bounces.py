"""Test `flask bounces`, the command into which mail servers pipe returned mail."""

import io

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.orm import Session

from skymailing.extensions import db
from skymailing.models import User
from tests.returns.letters import make_status
from tests.returns.scenes import Desk

pytestmark = pytest.mark.one_engine


def test_letters_are_piped_in_and_listed(app: Flask, session: Session, user: User) -> None:
    desk = Desk(app, session, user)
    delivery, other = desk.send(), desk.send()
    forged = make_status(other.email, "5.1.1", "550 5.1.1 unknown")
    runner = app.test_cli_runner()

    for raw, state in ((desk.bounce(delivery) + b"x" * 2_000_000, "understood"), (forged, "unclear")):
        stream = io.BytesIO(raw)
        result = runner.invoke(args=["bounces", "ingest"], input=stream)
        assert (result.exit_code, result.output.split()[1]) == (0, state)

    assert desk.suppressions() == {delivery.email_key: "bounced"}
    everything = runner.invoke(args=["bounces", "list"]).output
    unclear = runner.invoke(args=["bounces", "list", "--unclear"]).output
    assert f"\t{delivery.email_key}\thard\tsigned\t5.0.0 550 5.1.1 user unknown" in everything
    assert user.email in everything
    assert delivery.email_key not in unclear
    assert f"\t{other.email_key}\thard\taddress\t" in unclear


def test_the_mail_server_tries_again_while_the_database_fails(app: Flask, session: Session) -> None:
    with app.app_context():
        db.session.execute(text("ALTER TABLE returned_letters RENAME TO away"))
        db.session.commit()
    try:
        result = app.test_cli_runner().invoke(args=["bounces", "ingest"], input="Subject: x\n\n")
    finally:
        with app.app_context():
            db.session.execute(text("ALTER TABLE away RENAME TO returned_letters"))
            db.session.commit()

    assert result.exit_code == 75
