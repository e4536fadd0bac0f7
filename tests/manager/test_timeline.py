"""Test the history on a user's page: its events, who sees what of them, and its pages."""

import re
from datetime import datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.audit import Actor
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import (
    AuditAction,
    AuditEntry,
    AuditKind,
    Client,
    ClientImport,
    DeliveryState,
    ImportState,
    Mailing,
    MailingKind,
    OutboxLetter,
    Reputation,
    Role,
    UsageKind,
    User,
    UserSession,
)
from skymailing.quotas import counting
from tests.conftest import SignIn
from tests.support.factories import ClientFactory, MailingFactory, UserFactory, create_run
from tests.support.timing import cpu_seconds

Target = User | Mailing | Client
NOON = utcnow().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)


@pytest.fixture
def manager(session: Session) -> User:
    user: User = UserFactory.create(role=Role.MANAGER, email="manager@sky.example")
    return user


@pytest.fixture
def panel(sign_in: SignIn, manager: User) -> FlaskClient:
    """Return a browser in which a manager is signed in."""
    return sign_in(manager)


@pytest.fixture
def owner(session: Session) -> User:
    """Return a user to whom nothing happened except the registration."""
    user: User = UserFactory.create(
        email="owner@shop.example",
        created_at=NOON - timedelta(days=9),
        confirmed_at=NOON - timedelta(days=8),
    )
    return user


def read_events(panel: FlaskClient, user: User, query: str = "") -> list[str]:
    """Return the events on the page, without their times."""
    page = panel.get(f"/manager/users/{user.id}/{query}")
    assert page.status_code == 200
    items = re.findall(r'<li><span class="event-time">.*?</span><div>(.*?)</div></li>', page.text, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", item).split()) for item in items]


def record(session: Session, action: AuditAction, actor: Actor, target: Target, at: datetime) -> None:
    kind = {User: AuditKind.USER, Mailing: AuditKind.MAILING, Client: AuditKind.CLIENT}[type(target)]
    session.add(
        AuditEntry(
            at=at,
            actor_id=actor.id,
            actor=actor.name,
            address=actor.address,
            action=action,
            kind=kind,
            target_id=target.id,
            target=target.name if isinstance(target, Mailing) else target.email,
            reason=f"why {action.value}",
        )
    )


@pytest.fixture
def busy(app: Flask, session: Session, manager: User, owner: User) -> User:
    """Return the owner after much has happened."""
    mailing = MailingFactory.create(owner=owner, name="Sale", created_at=NOON - timedelta(days=7))
    run = create_run(
        mailing, {DeliveryState.SENT: 8, DeliveryState.FAILED: 2}, started_at=NOON - timedelta(days=6)
    )
    run.returned, run.complaints = 3, 1
    mailing.disabled_at, mailing.disabled_reason = NOON - timedelta(days=5), "spam"
    file = ClientImport(
        owner_id=owner.id,
        filename="list.csv",
        state=ImportState.FINISHED,
        created_at=NOON - timedelta(days=4),
    )
    file.created, file.updated, file.rejected = 5, 2, 1
    paused = Reputation(owner_id=owner.id, paused_at=NOON - timedelta(days=3))
    device = UserSession(
        user_id=owner.id, key="k", device="Firefox, Linux", created_at=NOON - timedelta(hours=1)
    )
    device.address, device.expires_at = "10.0.0.*", utcnow() + timedelta(days=1)
    session.add_all([file, paused, device])
    record(session, AuditAction.USER_BLOCKED, as_actor(manager), owner, NOON)
    session.commit()
    with app.app_context(), db.engine.begin() as connection:
        counting.add(connection, owner.id, UsageKind.COMPLAINTS, 2, NOON - timedelta(days=3, hours=-1))
    return owner


def test_it_lists_events_newest_first(panel: FlaskClient, busy: User) -> None:
    assert read_events(panel, busy) == [
        "user blocked why user-blocked manager@sky.example",
        "Signed in Firefox, Linux · 10.0.0.*",
        "2 spam complaints about emails of this hour",
        "mailings paused because of bounces or spam complaints",
        "Import of list.csv finished added: 5, updated: 2, rejected: 1",
        "disabled Sale spam",
        "Sale finished 5 delivered, 5 not delivered · returned: 3 · spam complaints: 1",
        "Mailing created: Sale",
        "Address confirmed",
        "Registered",
    ]


def as_actor(user: User) -> Actor:
    return Actor(user.id, user.email, "192.0.2.7", user.role)


def test_changes_to_the_sign_in_are_known_from_their_letters(
    app: Flask, session: Session, panel: FlaskClient, owner: User
) -> None:
    letters: list[tuple[str, dict[str, object]]] = [
        ("new-device", {"device": "Edge, Windows", "address": "192.0.2.*", "at": "x"}),
        ("passkey-changed", {"is_added": True, "name": "Laptop"}),
        ("identity-changed", {"is_connected": False, "email": "anna@id.example"}),
        ("second-factor-changed", {"is_on": True}),
        ("password-changed", {}),
        ("test-letter", {}),
    ]
    for seconds, (template, params) in enumerate(letters):
        at = NOON + timedelta(seconds=seconds)
        session.add(
            OutboxLetter(user_id=owner.id, to=owner.email, template=template, params=params, created_at=at)
        )
    session.add(
        UserSession(
            user_id=owner.id,
            key="k",
            device="Edge, Windows",
            created_at=NOON,
            expires_at=utcnow() + timedelta(days=1),
        )
    )
    session.commit()
    assert read_events(panel, owner)[:-2] == [
        "Password changed",
        "Two-factor authentication is on",
        "Sign-in account disconnected anna@id.example",
        "Passkey added Laptop",
        "Sign-in from a new device Edge, Windows · 192.0.2.*",
    ]


@pytest.mark.one_engine
def test_managers_see_what_was_done_but_not_by_whom(
    session: Session, panel: FlaskClient, manager: User, owner: User, sign_in: SignIn
) -> None:
    colleague = UserFactory.create(role=Role.ADMIN, email="colleague@sky.example")
    client: Client = ClientFactory.create(owner=owner, email="secret@client.example")
    mine: Mailing = MailingFactory.create(owner=owner, name="Mine", created_at=NOON - timedelta(days=30))
    entries: list[tuple[AuditAction, Actor, Target]] = [
        (AuditAction.USER_BLOCKED, as_actor(colleague), owner),
        (AuditAction.USER_UNBLOCKED, as_actor(manager), owner),
        (AuditAction.TWO_FACTOR_LIFTED, Actor(None, "root"), owner),
        (AuditAction.ACCOUNT_EXPORTED, as_actor(owner), owner),
        (AuditAction.CLIENT_DELETED, as_actor(owner), client),
        (AuditAction.MAILING_DELETED, as_actor(owner), mine),
    ]
    for hours, (action, actor, target) in enumerate(entries):
        record(session, action, actor, target, NOON + timedelta(hours=hours))
    session.commit()
    listed = read_events(panel, owner)[:6]
    assert listed == [
        "mailing deleted mailing Mine why mailing-deleted",
        "client deleted why client-deleted",
        "account exported why account-exported",
        "two-factor authentication reset why second-factor-lifted command line",
        "user unblocked why user-unblocked manager@sky.example",
        "user blocked why user-blocked by a manager",
    ]
    page = panel.get(f"/manager/users/{owner.id}/").text
    assert "192.0.2.7" not in page
    assert "secret@" not in page
    assert "colleague@sky.example" in read_events(sign_in(colleague), owner)[5]


@pytest.mark.one_engine
def test_what_a_manager_does_to_others_is_not_in_their_own_history(
    session: Session, panel: FlaskClient, owner: User
) -> None:
    colleague = UserFactory.create(role=Role.MANAGER)
    other = MailingFactory.create(owner=owner)
    record(session, AuditAction.USER_BLOCKED, as_actor(colleague), owner, NOON)
    record(session, AuditAction.MAILING_DISABLED, as_actor(colleague), other, NOON)
    record(session, AuditAction.CLIENTS_EXPORTED, as_actor(colleague), colleague, NOON)
    session.commit()
    listed = read_events(panel, colleague)
    assert [event for event in listed if "why" in event] == ["clients exported why clients-exported"]


def test_others_and_test_keys_are_left_out(session: Session, panel: FlaskClient, owner: User) -> None:
    other = UserFactory.create()
    create_run(MailingFactory.create(owner=other, name="Foreign"), {DeliveryState.SENT: 1})
    caught = MailingFactory.create(owner=owner, name="Caught", kind=MailingKind.CAUGHT)
    create_run(caught, {DeliveryState.SENT: 1})
    session.commit()
    assert read_events(panel, owner) == ["Address confirmed", "Registered"]


def test_pages_repeat_and_leave_out_nothing(session: Session, panel: FlaskClient, owner: User) -> None:
    for number in range(70):
        MailingFactory.create(owner=owner, name=f"No {number:02}.", created_at=NOON)
    session.commit()
    listed, query = [], ""
    while True:
        listed += read_events(panel, owner, query)
        page = panel.get(f"/manager/users/{owner.id}/{query}").text
        if not (found := re.search(r'rel="next" href="[^"?]*(\?[^"#]+)#timeline"', page)):
            break
        query = found[1].replace("&amp;", "&")
    assert listed[:70] == [f"Mailing created: No {number:02}." for number in reversed(range(70))]
    assert listed[70:] == ["Address confirmed", "Registered"]
    assert read_events(panel, owner, "?cursor=nonsense")[0] == "Mailing created: No 69."


@pytest.mark.one_engine
def test_it_is_fast_for_a_user_of_many_years(session: Session, panel: FlaskClient, owner: User) -> None:
    session.bulk_save_objects(
        [
            AuditEntry(
                at=NOON - timedelta(minutes=number),
                actor_id=owner.id,
                actor=owner.email,
                action=AuditAction.REPORT_EXPORTED,
                kind=AuditKind.USER if number % 2 else AuditKind.MAILING,
                target_id=owner.id,
            )
            for number in range(20_000)
        ]
    )
    session.commit()
    panel.get(f"/manager/users/{owner.id}/")
    with cpu_seconds(0.5):
        assert len(read_events(panel, owner)) == 30
