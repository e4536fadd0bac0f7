"""flask users: accounts without the web."""

import os
import secrets
import time
from pathlib import Path

import click
from flask.cli import AppGroup

from skymailing import audit
from skymailing.auth import deletion, services, two_factor
from skymailing.auth import deletion_requests as account
from skymailing.auth.export import export_account
from skymailing.auth.password_policy import password_fault
from skymailing.clock import utcnow
from skymailing.email_addresses import InvalidEmail, address_key, parse_address
from skymailing.extensions import db
from skymailing.mailings import tasks
from skymailing.models import AuditAction, Role, User
from skymailing.security import hash_password

users = AppGroup("users", help="Create, block and list accounts.")


@users.command("create")
@click.argument("email")
@click.option("--role", type=click.Choice([role.value for role in Role]), default="user", show_default=True)
@click.option("--password", help="Without it, one is made up and printed.")
def create(email: str, role: str, password: str | None) -> None:
    """Create an account that may sign in at once."""
    try:
        address = address_key(parse_address(email))
    except InvalidEmail as error:
        raise click.ClickException(f"{email}: {error}") from error
    chosen = password or secrets.token_urlsafe(12)
    if fault := password_fault(chosen, address):
        raise click.ClickException(fault)
    password_hash = hash_password(chosen)
    try:
        user = services.create_user(address, password_hash, role=Role(role), confirmed_at=utcnow())
    except services.AddressTaken as error:
        raise click.ClickException(f"There is an account with the address {address} already.") from error
    audit.record(AuditAction.ACCOUNT_CREATED, audit.present_actor(), user, role)
    db.session.commit()
    click.echo(f"Created {address} with the role {role}.")
    if password is None:
        click.echo(f"Password: {chosen}")


@users.command("block")
@click.argument("email")
@click.option("--reason", default="", help="Shown to the user who tries to sign in.")
def block(email: str, reason: str) -> None:
    """Shut an account out and stop what it sends."""
    user = find(email)
    services.block_user(user, reason, utcnow(), audit.present_actor())
    db.session.commit()
    click.echo(f"Blocked {user.email}.")


@users.command("unblock")
@click.argument("email")
@click.option("--reason", default="", help="Kept in the audit log.")
def unblock(email: str, reason: str) -> None:
    """Let a blocked account in again."""
    user = find(email)
    services.unblock_user(user, reason, audit.present_actor())
    db.session.commit()
    user_id, email = user.id, user.email
    tasks.dispatch_mailings_of(user_id, utcnow())
    click.echo(f"Unblocked {email}.")


@users.command("role")
@click.argument("email")
@click.argument("role", type=click.Choice([role.value for role in Role]))
@click.option("--reason", default="", help="Kept in the audit log.")
def change_role(email: str, role: str, reason: str) -> None:
    """Give an account another ROLE."""
    user = find(email)
    try:
        services.change_role(user, Role(role), reason, audit.present_actor())
    except services.LastAdmin as error:
        raise click.ClickException(f"{email} is the last administrator; make another first.") from error
    db.session.commit()
    click.echo(f"{user.email} has the role {role} now.")


@users.command("export")
@click.argument("email")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="EMAIL.zip by default.")
def export(email: str, output: Path | None) -> None:
    """Write everything that an account owns into one ZIP file, which nobody else may read."""
    user = find(email)
    audit.record(AuditAction.ACCOUNT_EXPORTED, audit.present_actor(), user)
    path = output or Path(f"{user.email}.zip")
    db.session.commit()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        for piece in export_account(user, utcnow()):
            file.write(piece)
    click.echo(f"Wrote {path}.")


@users.command("delete")
@click.argument("email")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--grace", "days", type=click.IntRange(0), default=0, help="Days in which it can be kept; 0.")
def delete(email: str, yes: bool, days: int) -> None:
    """Delete an account with everything that it owns, at once unless --grace says otherwise."""
    user = find(email)
    belongings = account.count_belongings(user)
    db.session.rollback()
    told = ", ".join(f"{count} {name}" for name, count in belongings.items() if name != "active")
    if not yes and click.prompt(f"{email} with {told}. Type the address to delete it") != email:
        raise click.ClickException("That is another address; nothing was deleted.")
    try:
        at = account.request_deletion(user, utcnow(), audit.present_actor(), days=days)
    except services.LastAdmin as error:
        raise click.ClickException(f"{email} is the last administrator; make another first.") from error
    user_id = user.id
    db.session.commit()
    if days:
        click.echo(f"{email} is deleted on {at:%Y-%m-%d %H:%M} UTC; until then its owner can keep it.")
        return
    wait_for_erasure(user_id)
    click.echo(f"Deleted {email}.")


def wait_for_erasure(user_id: int) -> None:
    """Delete until all is gone; interrupted, the next sweep goes on with it."""
    while db.session.get(User, user_id) is not None:
        db.session.rollback()
        if not deletion.erase_slice(user_id, utcnow(), lambda _seconds: False):
            time.sleep(0.2)  # letters are under way, or a worker is at it
        db.session.expire_all()
    db.session.rollback()


@users.command("lift-second-step")
@click.argument("email")
@click.option("--reason", default="", help="Kept in the audit log.")
def lift_second_step(email: str, reason: str) -> None:
    """Turn the second step off for somebody who has lost phone and recovery codes."""
    user = find(email)
    if not user.has_second_factor:
        raise click.ClickException(f"{user.email} has no second step.")
    two_factor.lift(user, reason, audit.present_actor())
    db.session.commit()
    click.echo(f"{user.email} signs in with the password alone now. A letter tells them.")


@users.command("list")
def list_users() -> None:
    """Show every account with role and state."""
    accounts = services.list_users()
    width = max((len(user.email) for user in accounts), default=0)
    for user in accounts:
        click.echo(f"{user.email:{width}}  {user.role:8} {state_of(user)}")


def find(email: str) -> User:
    """Return the account; raises ClickException when there is none."""
    user = services.find_user(email.strip().lower())
    if user is None:
        raise click.ClickException(f"There is no account with the address {email}; see `flask users list`.")
    return user


def state_of(user: User) -> str:
    if user.deletion_at:
        return f"to be deleted on {user.deletion_at:%Y-%m-%d}"
    if user.is_blocked:
        return f"blocked: {user.blocked_reason}" if user.blocked_reason else "blocked"
    return "active" if user.is_confirmed else "unconfirmed"
