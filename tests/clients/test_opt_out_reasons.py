"""Test the optional reasons for unsubscribing, and how the owner sees them."""

from datetime import timedelta

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clients import opt_outs
from skymailing.clock import utcnow
from skymailing.models import OptOut, User
from tests.clients.test_opt_outs import ADDRESS, find_opt_out, news, path, plain_path, post, undo
from tests.conftest import SignIn
from tests.mailings.pages import get_main_text
from tests.support.factories import ClientFactory, UserFactory

__all__ = ["news", "path", "plain_path"]  # fixtures


def test_a_reason_is_optional_and_shown_to_the_owner(
    session: Session, visitor: FlaskClient, browser: FlaskClient, user: User, plain_path: str
) -> None:
    assert "No one has unsubscribed" in get_main_text(browser.get("/clients/suppressions/reasons"))
    client = ClientFactory.create(owner=user, email=ADDRESS)
    page = post(visitor, plain_path)
    comment = "Every day!\0 <b>" + "x" * 600
    sent = post(
        visitor, f"{plain_path}/reason", opt_out=find_opt_out(page), reason="too-many", comment=comment
    )
    assert "Thank you for your feedback." in get_main_text(sent)
    stored = session.scalars(select(OptOut).execution_options(populate_existing=True)).one()
    assert (stored.reason, stored.comment) == ("too-many", ("Every day! <b>" + "x" * 600)[:500])
    reasons = get_main_text(browser.get("/clients/suppressions/reasons"))
    assert "Too many emails 1" in reasons
    assert "Every day! <b>" in reasons
    shown = get_main_text(browser.get(f"/clients/{client.id}"))
    assert "unsubscribed from everything Too many emails" in shown
    assert "Every day! <b>" in shown


def test_an_unknown_reason_is_not_stored(session: Session, visitor: FlaskClient, plain_path: str) -> None:
    found = find_opt_out(post(visitor, plain_path))
    post(visitor, f"{plain_path}/reason", opt_out=found, reason="<script>")
    assert session.scalars(select(OptOut.reason)).one() == ""


def test_undone_and_old_opt_outs_are_not_counted(
    app: Flask, sign_in: SignIn, visitor: FlaskClient, user: User, plain_path: str, path: str
) -> None:
    undo(visitor, path, post(visitor, path))
    post(visitor, plain_path)
    with app.app_context():
        assert opt_outs.count_reasons(user.id, utcnow() - timedelta(days=1)) == {"": 1}
        assert opt_outs.count_reasons(user.id, utcnow() + timedelta(days=1)) == {}

    stranger = sign_in(UserFactory.create())
    assert "No one has unsubscribed" in get_main_text(stranger.get("/clients/suppressions/reasons"))
