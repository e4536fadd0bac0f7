"""flask demo: add realistic example data for a tour."""

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy import select

from skymailing import schedule
from skymailing.clock import utcnow
from skymailing.demo.build import fill, hash_passwords, list_logins
from skymailing.extensions import db
from skymailing.models import Mailing, User
from skymailing.security import verify_password


@click.command("demo")
@with_appcontext
def demo() -> None:
    """Add example data (users, clients, messages, mailings, articles) and print the logins.

    Running it again adds nothing and prints the same logins.
    """
    logins = list_logins(current_app.config["SECRET_KEY"])
    hashes = hash_passwords(logins)
    fill(logins, hashes, utcnow())
    db.session.commit()
    emails = [login.email for login in logins]
    statement = select(User.email, User.password_hash).where(User.email.in_(emails))
    stored_hashes = dict(db.session.execute(statement).tuples().all())
    planned = select(Mailing).join(User).where(User.email == emails[0], Mailing.next_run_at.is_not(None))
    starts = {mailing.id: schedule.find_start(mailing) for mailing in db.session.scalars(planned)}
    db.session.expunge_all()
    db.session.rollback()
    for mailing_id, start in starts.items():
        schedule.schedule_start(mailing_id, start)
    click.echo(f"The example is ready at {current_app.config['PUBLIC_URL']}. Sign in as")
    for login in logins:
        is_unchanged = verify_password(stored_hashes[login.email], login.password)
        password = login.password if is_unchanged else "(password changed)"
        click.echo(f"{login.role.value:8} {login.email:22} {password}")
