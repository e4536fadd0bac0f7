"""What happens to accounts; adds and flushes, never commits.

Hashing a password takes some 50 ms, in which on SQLite nobody else could write: hashes come from
outside of a transaction, so these functions take them ready made.
"""

from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from skymailing import audit
from skymailing.audit import Actor
from skymailing.clock import utcnow
from skymailing.errors import SkyMailingError
from skymailing.extensions import db
from skymailing.models import AuditAction, OutboxLetter, Role, User, UserSession
from skymailing.outbox import services as outbox
from skymailing.security import (
    NEW_EMAIL,
    RESET,
    RESET_LIFETIME,
    VERIFY,
    VERIFY_LIFETIME,
    BadToken,
    read_account_token,
    read_token,
    verify_password,
)

# Letters of one kind to one account within an hour: enough for the impatient, no weapon against others.
LETTERS_PER_HOUR = 5


class AddressTaken(SkyMailingError):
    """There is an account with this address already."""


class NotAllowed(SkyMailingError):
    """The actor may not do this to that account: their own, or one of those who run the service."""


class LastAdmin(SkyMailingError):
    """Without this administrator nobody could give roles any more."""


def find_user(email: str) -> User | None:
    """Return the account with this address, which is in lower case."""
    return db.session.scalar(select(User).where(User.email == email))


def list_users() -> list[User]:
    """Return every account, by address."""
    return list(db.session.scalars(select(User).order_by(User.email)))


def check_password(email: str, password: str) -> User | None:
    """Return the account with this address and password, in the same time whatever is wrong.

    Ends the transaction before it hashes, so that nobody waits for it; call it before any change.
    """
    password_hash = db.session.scalar(select(User.password_hash).where(User.email == email))
    db.session.rollback()
    if not verify_password(password_hash, password):
        return None
    return find_user(email)


def register_user(email: str, password_hash: str, locale: str) -> User | None:
    """Create an account and post its confirmation; None, and another letter, when there is one."""
    known = find_user(email)
    if known is None:
        try:
            user = create_user(email, password_hash, locale=locale)
        except AddressTaken:  # the same form sent twice at once
            return None
        outbox.post(user, VERIFY)
        return user
    post_sparingly(known, "already-registered")
    return None


def create_user(
    email: str,
    password_hash: str,
    *,
    role: Role = Role.USER,
    locale: str = "",
    confirmed_at: datetime | None = None,
) -> User:
    """Add an account; raises AddressTaken, with the transaction still usable."""
    user = User(
        email=email,
        password_hash=password_hash,
        role=role,
        locale=locale,
        timezone=current_app.config["DEFAULT_TIMEZONE"],
        confirmed_at=confirmed_at,
    )
    try:
        with db.session.begin_nested():
            db.session.add(user)
    except IntegrityError as error:
        raise AddressTaken(email) from error
    return user


def user_of_verification(token: str) -> User:
    """Return the user whose address the token confirms; raises BadToken."""
    return read_account_token(VERIFY, token, VERIFY_LIFETIME)


def user_of_reset(token: str) -> User:
    """Return the user whose password the token may set; raises BadToken."""
    return read_account_token(RESET, token, RESET_LIFETIME)


def confirm_user(token: str, now: datetime) -> User:
    """Confirm the address that the token was mailed to, once; raises BadToken."""
    lock_user(user_of_verification(token))
    user = user_of_verification(token)
    user.confirmed_at = now
    db.session.flush()
    return user


def request_verification(user: User) -> None:
    """Post the confirmation again, unless it is not needed or was posted often."""
    if not user.is_confirmed:
        post_sparingly(user, VERIFY)


def request_reset(email: str) -> None:
    """Post a link that sets a new password, if there is such an account and it is not blocked."""
    user = find_user(email)
    if user is not None and not user.is_blocked:
        post_sparingly(user, RESET)


def reset_password(token: str, password_hash: str, now: datetime) -> User:
    """Set the password by a mailed token, once; it proves the address too. Raises BadToken."""
    lock_user(user_of_reset(token))
    user = user_of_reset(token)  # of two who use it at the same moment, the second finds it used
    user.confirmed_at = user.confirmed_at or now
    change_password(user, password_hash)
    return user


def request_new_email(user: User, email: str) -> None:
    """Post a link to the new address that makes it the account's; none to an address that has an account."""
    if find_user(email) is None:
        post_sparingly(user, NEW_EMAIL, to=email)


def user_of_new_email(token: str) -> tuple[User, str]:
    """Return the user and the address that the token makes theirs; raises BadToken."""
    user = read_account_token(NEW_EMAIL, token, VERIFY_LIFETIME)
    email = read_token(NEW_EMAIL, token, VERIFY_LIFETIME).get("email")
    if not user.is_active or not isinstance(email, str):
        raise BadToken
    return user, email


def change_email(token: str) -> User:
    """Give the account the address that the token was mailed to, once; tell the old one by a letter.

    Raises BadToken, and AddressTaken when somebody has registered with it meanwhile.
    """
    lock_user(user_of_new_email(token)[0])
    user, email = user_of_new_email(token)
    old, user_id = user.email, user.id
    outbox.post(user, "email-changed", to=old, email=email)
    try:
        with db.session.begin_nested():
            user.email = email
            db.session.flush()
    except IntegrityError as error:
        raise AddressTaken(email) from error
    audit.record(AuditAction.EMAIL_CHANGED, Actor(user_id, old), user, f"{old} -> {email}")
    db.session.flush()
    return user


def change_password(user: User, password_hash: str) -> None:
    """Set the password, sign the user out everywhere, and tell them by a letter."""
    user.password_hash = password_hash
    sign_out_everywhere(user)
    outbox.post(user, "password-changed")
    db.session.flush()


def sign_out_everywhere(user: User) -> None:
    """End all of the user's sessions."""
    user.session_epoch += 1
    db.session.execute(delete(UserSession).where(UserSession.user_id == user.id))


def may_block(user: User, actor: Actor) -> bool:
    """Whether the actor may block or unblock this user; on the web, nobody who runs the service.

    An administrator takes such a role away first; the command line may do everything.
    """
    return actor.id is None or (user.id != actor.id and user.role not in (Role.MANAGER, Role.ADMIN))


def block_user(user: User, reason: str, now: datetime, actor: Actor) -> None:
    """Shut the user out; nothing of theirs is sent from now on. Raises NotAllowed."""
    lock_user(user)
    if not may_block(user, actor):
        raise NotAllowed(user.email)
    user.blocked_at = user.blocked_at or now
    user.blocked_reason = reason
    sign_out_everywhere(user)
    audit.record(AuditAction.USER_BLOCKED, actor, user, reason)
    db.session.flush()


def unblock_user(user: User, reason: str, actor: Actor) -> None:
    """Let the user in again, and let their mailings go on. Raises NotAllowed."""
    lock_user(user)
    if not may_block(user, actor):
        raise NotAllowed(user.email)
    user.blocked_at = None
    user.blocked_reason = ""
    audit.record(AuditAction.USER_UNBLOCKED, actor, user, reason)
    db.session.flush()


def change_role(user: User, role: Role, reason: str, actor: Actor) -> None:
    """Give the user another role; raises NotAllowed for one's own, LastAdmin when no other is left."""
    has_others = has_other_admin(user)
    lock_user(user)
    if user.id == actor.id:
        raise NotAllowed(user.email)
    if user.role is Role.ADMIN and role is not Role.ADMIN and not has_others:
        raise LastAdmin(user.email)
    if user.role is role:
        return
    change = f"{user.role.value} -> {role.value}"
    user.role = role
    audit.record(AuditAction.ROLE_CHANGED, actor, user, f"{change}: {reason}" if reason else change)
    db.session.flush()


def has_other_admin(user: User) -> bool:
    """Whether another administrator can act; all of them are locked until the transaction ends."""
    # In one order, so that two administrators cannot demote each other, or leave, at once.
    admins = select(User).where(User.role == Role.ADMIN).order_by(User.id).with_for_update()
    found = db.session.scalars(admins.execution_options(populate_existing=True)).all()
    return any(admin.id != user.id and admin.is_active and not admin.deletion_at for admin in found)


def lock_user(user: User) -> None:
    """Read the account anew and keep others from changing it until the transaction ends."""
    db.session.refresh(user, with_for_update=True)


def post_sparingly(user: User, template: str, *, to: str = "", **params: Any) -> None:
    """Post a letter unless this account got several of its kind lately: nobody's inbox is flooded."""
    lately = select(func.count()).where(
        OutboxLetter.user_id == user.id,
        OutboxLetter.template == template,
        OutboxLetter.created_at > utcnow() - timedelta(hours=1),
    )
    if (db.session.scalar(lately) or 0) < LETTERS_PER_HOUR:
        outbox.post(user, template, to=to, **params)
