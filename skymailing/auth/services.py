"""Create, confirm, change and block accounts.

Hashing a password takes about 50 ms; inside a transaction, it would block all other writers on SQLite.
These functions therefore accept hashes that the caller has computed outside a transaction.
"""

from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from skymailing import audit
from skymailing.audit import Actor
from skymailing.clock import utcnow
from skymailing.db.unique import add_unless_taken
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import AuditAction, KnownDevice, OutboxLetter, Role, User, UserSession
from skymailing.outbox import services as outbox
from skymailing.security import verify_password
from skymailing.tokens import (
    NEW_EMAIL,
    RESET,
    RESET_LIFETIME,
    VERIFY,
    VERIFY_LIFETIME,
    BadToken,
    read_account_token,
    read_token,
)

# Per account and kind of letter: enough for a user who clicks repeatedly, too few to flood a mailbox.
LETTERS_PER_HOUR = 5


class AddressTaken(UserError):
    """Another account has this address."""

    def __init__(self, email: str) -> None:
        super().__init__("account_exists", email=email)


class NotAllowed(UserError):
    """The actor may not change this account: it is their own, or belongs to a manager or administrator."""

    def __init__(self) -> None:
        super().__init__("account_forbidden")


class LastAdmin(UserError):
    """This is the last administrator, without whom no one could assign roles."""

    def __init__(self) -> None:
        super().__init__("account_last_admin")


def find_user(email: str) -> User | None:
    """Return the account with this lowercase address."""
    return db.session.scalar(select(User).where(User.email == email))


def list_users() -> list[User]:
    """Return all accounts, ordered by address."""
    return list(db.session.scalars(select(User).order_by(User.email)))


def authenticate(email: str, password: str) -> User | None:
    """Return the account with this address and password.

    Takes the same time whether the address or the password is wrong. Rolls back the transaction before
    hashing, so that no lock is held; call it before changing anything.
    """
    password_hash = db.session.scalar(select(User.password_hash).where(User.email == email))
    db.session.rollback()
    if not verify_password(password_hash, password):
        return None
    return find_user(email)


def register_user(email: str, password_hash: str, locale: str, timezone: str) -> User | None:
    """Create an account and send its confirmation link.

    If the address already has an account, send its owner a different letter and return None.
    """
    known = find_user(email)
    if known is None:
        try:
            user = create_user(email, password_hash, locale=locale, timezone=timezone)
        except AddressTaken:  # the same form was submitted twice at the same time
            return None
        outbox.add_letter(user, VERIFY)
        return user
    add_letter_within_limit(known, "already-registered")
    return None


def create_user(
    email: str,
    password_hash: str,
    *,
    role: Role = Role.USER,
    locale: str = "",
    timezone: str = "",
    confirmed_at: datetime | None = None,
) -> User:
    """Create an account; one confirmed by an operator is exempt from the limits for new accounts.

    Raises AddressTaken, after which the transaction can still be used.
    """
    user = User(
        email=email,
        password_hash=password_hash,
        role=role,
        locale=locale,
        timezone=timezone or current_app.config["DEFAULT_TIMEZONE"],
        confirmed_at=confirmed_at,
        trusted_at=confirmed_at,
    )
    if not add_unless_taken(user):
        raise AddressTaken(email)
    return user


def read_verification_token(token: str) -> User:
    """Return the user whose address the token confirms. Raises BadToken."""
    return read_account_token(VERIFY, token, VERIFY_LIFETIME)


def read_reset_token(token: str) -> User:
    """Return the user whose password the token may set. Raises BadToken."""
    return read_account_token(RESET, token, RESET_LIFETIME)


def confirm_user(token: str, now: datetime) -> User:
    """Confirm the address that the token was sent to. Raises BadToken if it is invalid or has been used."""
    lock_user(read_verification_token(token))
    user = read_verification_token(token)
    user.confirmed_at = now
    db.session.flush()
    return user


def confirm_with_new_password(token: str, password_hash: str, now: datetime) -> User:
    """Confirm the address and replace the password, which someone else may have chosen. Raises BadToken."""
    user = confirm_user(token, now)
    user.password_hash = password_hash
    sign_out_everywhere(user)
    return user


def request_verification(user: User) -> None:
    """Send the confirmation link again if the address is unconfirmed and the hourly limit allows it."""
    if not user.is_confirmed:
        add_letter_within_limit(user, VERIFY)


def request_reset(email: str) -> None:
    """Send a link that sets a new password, if the account exists and is not blocked."""
    user = find_user(email)
    if user is not None and not user.is_blocked:
        add_letter_within_limit(user, RESET)


def reset_password(token: str, password_hash: str, now: datetime) -> User:
    """Set the password using a mailed token, and confirm the address. Raises BadToken."""
    lock_user(read_reset_token(token))
    user = read_reset_token(token)  # read again, so that the second of two uses fails
    user.confirmed_at = user.confirmed_at or now
    change_password(user, password_hash)
    return user


def request_new_email(user: User, email: str) -> None:
    """Send a confirmation link to the new address, unless that address already has an account."""
    if find_user(email) is None:
        add_letter_within_limit(user, NEW_EMAIL, to=email)


def read_new_email_token(token: str) -> tuple[User, str]:
    """Return the user and the new address that the token confirms. Raises BadToken."""
    user = read_account_token(NEW_EMAIL, token, VERIFY_LIFETIME)
    email = read_token(NEW_EMAIL, token, VERIFY_LIFETIME).get("email")
    if not user.is_active or not isinstance(email, str):
        raise BadToken
    return user, email


def change_email(token: str) -> User:
    """Change the account's address to the one that the token was sent to; notify the old address.

    Raises BadToken, and AddressTaken if another account has been registered with the address since.
    """
    lock_user(read_new_email_token(token)[0])
    user, email = read_new_email_token(token)
    old, user_id = user.email, user.id
    outbox.add_letter(user, "email-changed", to=old, email=email)
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
    """Set the password, sign the user out everywhere, and notify them by email."""
    user.password_hash = password_hash
    sign_out_everywhere(user)
    outbox.add_letter(user, "password-changed")
    db.session.flush()


def sign_out_everywhere(user: User) -> None:
    """End all sessions of the user, and forget all devices."""
    user.session_epoch += 1
    for model in (UserSession, KnownDevice):
        db.session.execute(delete(model).where(model.user_id == user.id))


def may_block(user: User, actor: Actor) -> bool:
    """Return whether the actor may block or unblock this user.

    On the web, managers and administrators cannot be blocked until an administrator removes their
    role. On the command line, anyone can be blocked.
    """
    return actor.id is None or (user.id != actor.id and user.role not in (Role.MANAGER, Role.ADMIN))


def block_user(user: User, reason: str, now: datetime, actor: Actor) -> None:
    """Sign the user out everywhere and stop their mailings. Raises NotAllowed."""
    lock_user(user)
    if not may_block(user, actor):
        raise NotAllowed
    user.blocked_at = user.blocked_at or now
    user.blocked_reason = reason
    sign_out_everywhere(user)
    audit.record(AuditAction.USER_BLOCKED, actor, user, reason)
    db.session.flush()


def unblock_user(user: User, reason: str, actor: Actor) -> None:
    """Allow the user to sign in and their mailings to continue. Raises NotAllowed."""
    lock_user(user)
    if not may_block(user, actor):
        raise NotAllowed
    user.blocked_at = None
    user.blocked_reason = ""
    audit.record(AuditAction.USER_UNBLOCKED, actor, user, reason)
    db.session.flush()


def change_role(user: User, role: Role, reason: str, actor: Actor) -> None:
    """Change the user's role.

    Raises NotAllowed if the role is the actor's own, and LastAdmin if no other administrator is left.
    """
    has_others = has_other_admin(user)
    lock_user(user)
    if user.id == actor.id:
        raise NotAllowed
    if user.role is Role.ADMIN and role is not Role.ADMIN and not has_others:
        raise LastAdmin
    if user.role is role:
        return
    change = f"{user.role.value} -> {role.value}"
    user.role = role
    audit.record(AuditAction.ROLE_CHANGED, actor, user, f"{change}: {reason}" if reason else change)
    db.session.flush()


def has_other_admin(user: User) -> bool:
    """Return whether there is another active administrator; lock all of them until the transaction ends."""
    # Locked in a fixed order, so that two administrators cannot demote each other or leave at the same time.
    admins = select(User).where(User.role == Role.ADMIN).order_by(User.id).with_for_update()
    found = db.session.scalars(admins.execution_options(populate_existing=True)).all()
    return any(admin.id != user.id and admin.is_active and not admin.deletion_at for admin in found)


def lock_user(user: User) -> None:
    """Reload the account and lock it until the transaction ends."""
    db.session.refresh(user, with_for_update=True)


def add_letter_within_limit(user: User, template: str, *, to: str = "", **params: Any) -> None:
    """Add a letter unless LETTERS_PER_HOUR of its kind were added for the account in the last hour."""
    recent = select(func.count()).where(
        OutboxLetter.user_id == user.id,
        OutboxLetter.template == template,
        OutboxLetter.created_at > utcnow() - timedelta(hours=1),
    )
    if (db.session.scalar(recent) or 0) < LETTERS_PER_HOUR:
        outbox.add_letter(user, template, to=to, **params)
