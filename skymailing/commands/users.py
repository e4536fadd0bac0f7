"""flask users: manage accounts from a shell.

Modules that only one command needs are imported inside it, so that `users list` starts quickly.
"""

import os
import secrets
import time
from pathlib import Path

import click
from flask import current_app
from flask.cli import AppGroup

from skymailing import audit
from skymailing.auth import services
from skymailing.clock import utcnow
from skymailing.commands.lookups import get_user
from skymailing.extensions import db
from skymailing.models import AuditAction, Role, User
from skymailing.web.error_texts import explain

users = AppGroup("users", help="Create, block and list accounts.")


@users.command("create")
@click.argument("email")
@click.option("--role", type=click.Choice([role.value for role in Role]), default="user", show_default=True)
@click.option("--password", help="Default: a random one, which is printed.")
def create(email: str, role: str, password: str | None) -> None:
    """Create an account that can sign in immediately."""
    from skymailing.auth.password_policy import WeakPassword, check_password_strength
    from skymailing.email_addresses import InvalidEmail, address_key, parse_address
    from skymailing.security import hash_password

    try:
        address = address_key(parse_address(email))
    except InvalidEmail as error:
        raise click.ClickException(f"{email}: {explain(error)}") from error
    new_password = password or secrets.token_urlsafe(12)
    try:
        check_password_strength(new_password, address)
    except WeakPassword as error:
        raise click.ClickException(explain(error)) from error
    password_hash = hash_password(new_password)
    try:
        user = services.create_user(address, password_hash, role=Role(role), confirmed_at=utcnow())
    except services.AddressTaken as error:
        raise click.ClickException(explain(error)) from error
    audit.record(AuditAction.ACCOUNT_CREATED, audit.current_actor(), user, role)
    db.session.commit()
    click.echo(f"Created {address} with the role {role}.")
    if password is None:
        click.echo(f"Password: {new_password}")


@users.command("block")
@click.argument("email")
@click.option("--reason", default="", help="Shown to the user at sign-in.")
def block(email: str, reason: str) -> None:
    """Block an account and stop its mailings."""
    user = get_user(email)
    services.block_user(user, reason, utcnow(), audit.current_actor())
    db.session.commit()
    click.echo(f"Blocked {user.email}.")


@users.command("unblock")
@click.argument("email")
@click.option("--reason", default="", help="Kept in the audit log.")
def unblock(email: str, reason: str) -> None:
    """Unblock an account."""
    from skymailing.dispatch import dispatch_owner_mailings

    user = get_user(email)
    services.unblock_user(user, reason, audit.current_actor())
    db.session.commit()
    user_id, email = user.id, user.email
    dispatch_owner_mailings(user_id, utcnow())
    click.echo(f"Unblocked {email}.")


@users.command("role")
@click.argument("email")
@click.argument("role", type=click.Choice([role.value for role in Role]))
@click.option("--reason", default="", help="Kept in the audit log.")
def change_role(email: str, role: str, reason: str) -> None:
    """Change an account's role to ROLE."""
    user = get_user(email)
    try:
        services.change_role(user, Role(role), reason, audit.current_actor())
    except services.LastAdmin as error:
        raise click.ClickException(explain(error)) from error
    db.session.commit()
    click.echo(f"{user.email} now has the role {role}.")


@users.command("export")
@click.argument("email")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Default: EMAIL.zip.")
def export(email: str, output: Path | None) -> None:
    """Write all of an account's data to a ZIP file that only you can read."""
    from skymailing.auth.export.files import export_account

    user = get_user(email)
    audit.record(AuditAction.ACCOUNT_EXPORTED, audit.current_actor(), user)
    path = output or Path(f"{user.email}.zip")
    locale = user.locale or current_app.config["BABEL_DEFAULT_LOCALE"]
    db.session.commit()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        for piece in export_account(user, utcnow(), locale):
            file.write(piece)
    click.echo(f"Wrote {path}.")


@users.command("delete")
@click.argument("email")
@click.option("--yes", is_flag=True, help="Skip the confirmation.")
@click.option(
    "--grace",
    "days",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Days in which the owner can still cancel the deletion.",
)
def delete(email: str, yes: bool, days: int) -> None:
    """Delete an account and everything that it owns; immediately, unless --grace is given."""
    from skymailing.auth import deletion_requests

    user = get_user(email)
    counts = deletion_requests.count_account_data(user)
    db.session.rollback()
    summary = ", ".join(f"{count} {name}" for name, count in counts.items() if name != "active")
    if not yes and click.prompt(f"{email} with {summary}. Type the address to delete it") != email:
        raise click.ClickException("The addresses differ; nothing was deleted.")
    try:
        at = deletion_requests.request_deletion(user, utcnow(), audit.current_actor(), days=days)
    except services.LastAdmin as error:
        raise click.ClickException(explain(error)) from error
    user_id = user.id
    db.session.commit()
    if days:
        click.echo(
            f"{email} will be deleted on {at:%Y-%m-%d %H:%M} UTC; its owner can cancel this until then."
        )
        return
    wait_for_erasure(user_id)
    click.echo(f"Deleted {email}.")


def wait_for_erasure(user_id: int) -> None:
    """Delete an account slice by slice; if this is interrupted, the next sweep continues."""
    from skymailing.auth import deletion

    while db.session.get(User, user_id) is not None:
        db.session.rollback()
        if not deletion.erase_slice(user_id, utcnow(), lambda _seconds: False):
            time.sleep(0.2)  # letters are being sent, or a worker is deleting the account
        db.session.expire_all()
    db.session.rollback()


@users.command("lift-second-step")
@click.argument("email")
@click.option("--reason", default="", help="Kept in the audit log.")
def reset_two_factor(email: str, reason: str) -> None:
    """Turn off two-factor authentication for a user who has lost their phone and recovery codes."""
    from skymailing.auth import two_factor

    user = get_user(email)
    if not user.has_two_factor:
        raise click.ClickException(f"{user.email} does not use two-factor authentication.")
    two_factor.turn_off_by_operator(user, reason, audit.current_actor())
    db.session.commit()
    click.echo(f"{user.email} now signs in with the password alone, and will be notified by email.")


@users.command("list")
def list_users() -> None:
    """List all accounts with their roles and states."""
    accounts = services.list_users()
    width = max((len(user.email) for user in accounts), default=0)
    for user in accounts:
        click.echo(f"{user.email:{width}}  {user.role:8} {format_state(user)}")


def format_state(user: User) -> str:
    """Return the state of an account as `list` prints it."""
    if user.deletion_at:
        return f"to be deleted on {user.deletion_at:%Y-%m-%d}"
    if user.is_blocked:
        return f"blocked: {user.blocked_reason}" if user.blocked_reason else "blocked"
    return "active" if user.is_confirmed else "unconfirmed"
