"""Find the accounts and mailings named in a command."""

import click

from skymailing.auth.services import find_user
from skymailing.db.engine import LARGEST_ID
from skymailing.extensions import db
from skymailing.models import Mailing, User


def get_user(email: str) -> User:
    """Return the account with this address; raises ClickException if there is none."""
    user = find_user(email.strip().lower())
    if user is None:
        raise click.ClickException(f"There is no account with the address {email}; see `flask users list`.")
    return user


def get_owner_id(email: str) -> int:
    """Return the account's ID and end the transaction."""
    owner_id = get_user(email).id
    db.session.rollback()
    return owner_id


def get_mailing(mailing_id: int) -> Mailing:
    """Return the mailing; raises ClickException if there is none."""
    mailing = db.session.get(Mailing, mailing_id) if 0 < mailing_id <= LARGEST_ID else None
    if mailing is None:
        raise click.ClickException(f"There is no mailing {mailing_id}.")
    return mailing
