"""sending hours, late starts, daily summaries, and counts kept during a run

Revision ID: 0006
Revises: 0005
Create Date: 2026-11-24 00:40:00

"""
import hashlib
from collections import Counter
from datetime import UTC

from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

RUN_STATES = ('planned', 'sending', 'finished', 'cancelled')
SETTLED = ('sent', 'failed', 'suppressed', 'expired', 'cancelled')
COUNTED = ('deferred', 'sent', 'failed', 'unknown', 'suppressed', 'expired', 'cancelled')
QUARTER = 900


def run_state(*states):
    return sa.Enum(*states, name='state', native_enum=False, create_constraint=True, length=16)


def upgrade():
    with op.batch_alter_table('mailings', schema=None) as batch_op:
        batch_op.add_column(sa.Column('on_late', sa.Enum('send', 'skip', name='on_late', native_enum=False, create_constraint=True, length=16), server_default='send', nullable=False))
        batch_op.add_column(sa.Column('weekdays', sa.String(length=7), server_default='1234567', nullable=False))
        batch_op.add_column(sa.Column('opens_at', sa.Time(), nullable=True))
        batch_op.add_column(sa.Column('closes_at', sa.Time(), nullable=True))
    with op.batch_alter_table('mailings', schema=None) as batch_op:
        batch_op.alter_column('on_late', server_default=None)
        batch_op.alter_column('weekdays', server_default=None)
    with op.batch_alter_table('runs', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_runs_state'), type_='check')
        batch_op.create_check_constraint('state', sa.column('state').in_([*RUN_STATES, 'skipped']))
    with op.batch_alter_table('users', schema=None) as batch_op:
        batch_op.add_column(sa.Column('summary_hour', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('next_summary_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(batch_op.f('ix_users_next_summary_at'), ['next_summary_at'], unique=False)
    with op.batch_alter_table('attempts', schema=None) as batch_op:
        batch_op.add_column(sa.Column('run_id', sa.Integer(), nullable=True))
        batch_op.drop_constraint(op.f('fk_attempts_mailing_id'), type_='foreignkey')
        batch_op.drop_constraint(op.f('fk_attempts_owner_id'), type_='foreignkey')
    with op.batch_alter_table('deliveries', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('fk_deliveries_client_id'), type_='foreignkey')
    op.execute('UPDATE attempts SET run_id = (SELECT run_id FROM deliveries WHERE deliveries.id = attempts.delivery_id)')
    with op.batch_alter_table('attempts', schema=None) as batch_op:
        batch_op.alter_column('run_id', existing_type=sa.Integer(), nullable=False)
        batch_op.create_index(batch_op.f('ix_attempts_run_id_id'), ['run_id', 'id'], unique=False)
    create_counts()
    fill_counts(op.get_bind())


def create_counts():
    op.create_table('run_intervals',
    sa.Column('run_id', sa.Integer(), nullable=False),
    sa.Column('begins_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('mailing_id', sa.Integer(), nullable=False),
    sa.Column('owner_id', sa.Integer(), nullable=False),
    sa.Column('elapsed', sa.Integer(), nullable=False),
    *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ('planned', 'attempts', *COUNTED)),
    sa.ForeignKeyConstraint(['run_id'], ['runs.id'], name=op.f('fk_run_intervals_run_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('run_id', 'begins_at', name=op.f('pk_run_intervals'))
    )
    op.create_table('run_answers',
    sa.Column('run_id', sa.Integer(), nullable=False),
    sa.Column('begins_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('fingerprint', sa.String(length=32), nullable=False),
    sa.Column('mailing_id', sa.Integer(), nullable=False),
    sa.Column('owner_id', sa.Integer(), nullable=False),
    sa.Column('outcome', sa.Enum('sent', 'deferred', 'failed', 'unknown', name='outcome', native_enum=False, create_constraint=True, length=16), nullable=False),
    sa.Column('code', sa.Integer(), nullable=True),
    sa.Column('words', sa.Text(), nullable=False),
    sa.Column('attempts', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['run_id'], ['runs.id'], name=op.f('fk_run_answers_run_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('run_id', 'begins_at', 'fingerprint', name=op.f('pk_run_answers'))
    )
    op.create_table('run_domains',
    sa.Column('run_id', sa.Integer(), nullable=False),
    sa.Column('domain', sa.String(length=255), nullable=False),
    *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ('failed', 'deferred', 'unknown')),
    sa.ForeignKeyConstraint(['run_id'], ['runs.id'], name=op.f('fk_run_domains_run_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('run_id', 'domain', name=op.f('pk_run_domains'))
    )
    for table in ('run_intervals', 'run_answers'):
        for owner in ('owner_id', 'mailing_id'):
            op.create_index(op.f(f'ix_{table}_{owner}_begins_at'), table, [owner, 'begins_at'], unique=False)


def fill_counts(connection):
    """Count existing runs in intervals of 15 minutes, with each reply only by its code."""
    runs = connection.execute(sa.text(
        'SELECT runs.id, runs.mailing_id, mailings.owner_id, runs.started_at, runs.planned'
        ' FROM runs JOIN mailings ON mailings.id = runs.mailing_id'
    ).columns(started_at=sa.DateTime(timezone=True))).all()
    for run in runs:
        whose = {'run_id': run.id, 'mailing_id': run.mailing_id, 'owner_id': run.owner_id}
        fill_intervals(connection, run, whose)
        fill_refusals(connection, run, whose)


def quarter(moment):
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = int(moment.timestamp())
    return moment.fromtimestamp(seconds - seconds % QUARTER, UTC)


def fill_intervals(connection, run, whose):
    intervals = {}

    def add(name, moment, count):
        intervals.setdefault(quarter(moment), Counter())[name] += count

    add('planned', run.started_at, run.planned)
    moments = {'finished_at': sa.DateTime(timezone=True), 'at': sa.DateTime(timezone=True)}
    for row in connection.execute(sa.text(
        'SELECT state, finished_at, attempts.at FROM deliveries LEFT JOIN attempts'
        ' ON attempts.delivery_id = deliveries.id AND attempts.number = deliveries.attempts'
        ' WHERE deliveries.run_id = :run_id'
    ).columns(**moments), {'run_id': run.id}):
        if row.state in COUNTED:
            settled_at = row.finished_at if row.state in SETTLED else row.at
            add(row.state, settled_at or run.started_at, 1)
    for row in connection.execute(sa.text(
        'SELECT at, count(*) AS count FROM attempts WHERE run_id = :run_id GROUP BY at'
    ).columns(at=sa.DateTime(timezone=True)), {'run_id': run.id}):
        add('attempts', row.at, row.count)
    origin = int((run.started_at if run.started_at.tzinfo else run.started_at.replace(tzinfo=UTC)).timestamp())
    table = sa.Table('run_intervals', sa.MetaData(), autoload_with=connection)
    connection.execute(table.insert(), [
        whose | {'begins_at': begin, 'elapsed': max(0, int(begin.timestamp()) - origin)}
        | dict.fromkeys(('planned', 'attempts', *COUNTED), 0) | dict(columns)
        for begin, columns in intervals.items()
    ])


def fill_refusals(connection, run, whose):
    answers, domains = Counter(), {}
    for row in connection.execute(sa.text(
        'SELECT attempts.at, attempts.outcome, attempts.code, deliveries.email_key, count(*) AS count'
        ' FROM attempts JOIN deliveries ON deliveries.id = attempts.delivery_id'
        " WHERE attempts.run_id = :run_id AND attempts.outcome <> 'sent'"
        ' GROUP BY attempts.at, attempts.outcome, attempts.code, deliveries.email_key'
    ).columns(at=sa.DateTime(timezone=True)), {'run_id': run.id}):
        answers[quarter(row.at), row.outcome, row.code] += row.count
        domains.setdefault(row.email_key.rpartition('@')[2][:255], Counter())[row.outcome] += row.count
    if not answers:
        return
    table = sa.Table('run_answers', sa.MetaData(), autoload_with=connection)
    connection.execute(table.insert(), [
        whose | {
            'begins_at': begin, 'outcome': outcome, 'code': code, 'words': '', 'attempts': count,
            'fingerprint': hashlib.blake2b(f'{outcome} {code} '.encode(), digest_size=16).hexdigest(),
        }
        for (begin, outcome, code), count in answers.items()
    ])
    table = sa.Table('run_domains', sa.MetaData(), autoload_with=connection)
    connection.execute(table.insert(), [
        {'run_id': run.id, 'domain': domain, 'failed': 0, 'deferred': 0, 'unknown': 0} | dict(columns)
        for domain, columns in domains.items()
    ])


def downgrade():
    for table in ('run_domains', 'run_answers', 'run_intervals'):
        op.drop_table(table)
    op.execute('UPDATE deliveries SET client_id = NULL WHERE client_id NOT IN (SELECT id FROM clients)')
    with op.batch_alter_table('deliveries', schema=None) as batch_op:
        batch_op.create_foreign_key(batch_op.f('fk_deliveries_client_id'), 'clients', ['client_id'], ['id'], ondelete='SET NULL')
    with op.batch_alter_table('attempts', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_attempts_run_id_id'))
        batch_op.drop_column('run_id')
        batch_op.create_foreign_key(batch_op.f('fk_attempts_mailing_id'), 'mailings', ['mailing_id'], ['id'], ondelete='CASCADE')
        batch_op.create_foreign_key(batch_op.f('fk_attempts_owner_id'), 'users', ['owner_id'], ['id'], ondelete='CASCADE')
    with op.batch_alter_table('users', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_users_next_summary_at'))
        batch_op.drop_column('next_summary_at')
        batch_op.drop_column('summary_hour')
    op.execute("DELETE FROM runs WHERE state = 'skipped'")
    with op.batch_alter_table('runs', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_runs_state'), type_='check')
        batch_op.create_check_constraint('state', sa.column('state').in_(RUN_STATES))
    with op.batch_alter_table('mailings', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_mailings_on_late'), type_='check')
        for name in ('closes_at', 'opens_at', 'weekdays', 'on_late'):
            batch_op.drop_column(name)
