"""add sequences, their steps and enrolments, and note the events that let clients enter

Revision ID: 0056
Revises: 0055
Create Date: 2026-11-29 18:30:00

"""
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = '0056'
down_revision = '0055'
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
IS_ACTIVE = sa.text("state = 'active'")
IS_PAUSED = sa.text("state = 'paused'")

# Both databases note which clients get a tag or join a topic. PostgreSQL does it once for each statement, as
# bulk actions and imports change thousands of rows.
MAY_BE_ENTERED = "sequences.state IN ('active', 'paused')"
TAGGED = (
    'INSERT INTO sequence_signals (sequence_id, client_id) SELECT sequences.id, {new}.client_id FROM {source} '
    "WHERE sequences.tag_id = {new}.tag_id AND sequences.trigger = 'tag' AND " + MAY_BE_ENTERED
)
JOINED = (
    'INSERT INTO sequence_signals (sequence_id, client_id) SELECT sequences.id, clients.id FROM {source} '
    "WHERE sequences.joined_topic_id = {new}.topic_id AND sequences.trigger = 'topic' AND " + MAY_BE_ENTERED + ' '
    'AND clients.owner_id = {new}.owner_id AND clients.email_key = {new}.email_key AND {new}.is_joined'
)
SAME_CHOICE = 'changed.topic_id = earlier.topic_id AND changed.email_key = earlier.email_key'
# The name, the event, the table, and the statement in the forms of PostgreSQL and SQLite.
TRIGGERS = (
    (
        'note_tagged_clients',
        'INSERT',
        'client_tags',
        TAGGED.format(new='changed', source='changed, sequences'),
        TAGGED.format(new='new', source='sequences'),
    ),
    (
        'note_joined_clients',
        'INSERT',
        'topic_choices',
        JOINED.format(new='changed', source='changed, sequences, clients'),
        JOINED.format(new='new', source='sequences, clients'),
    ),
    (
        'note_rejoined_clients',
        'UPDATE',
        'topic_choices',
        JOINED.format(new='changed', source='changed, earlier, sequences, clients')
        + f' AND {SAME_CHOICE} AND NOT earlier.is_joined',
        JOINED.format(new='new', source='sequences, clients') + ' AND NOT old.is_joined',
    ),
)


def upgrade():
    create_sequences()
    op.create_table(
        'sequence_steps',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('sequence_id', sa.Integer(), nullable=False),
        sa.Column('position', sa.Integer(), nullable=False),
        sa.Column('mailing_id', sa.Integer(), nullable=False),
        sa.Column('wait', sa.Integer(), nullable=False),
        sa.Column('wait_unit', choose('wait_unit', 'minutes', 'hours', 'days'), nullable=False),
        sa.Column('at_time', sa.Time(), nullable=True),
        sa.Column('conditions', JSON, nullable=True),
        sa.Column('removed_at', MOMENT, nullable=True),
        *(count(name) for name in ('skipped', 'left')),
        refer_to('sequence_steps', 'sequence_id', 'sequences', 'CASCADE'),
        refer_to('sequence_steps', 'mailing_id', 'mailings', None),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_sequence_steps')),
        sa.UniqueConstraint('mailing_id', name=op.f('uq_sequence_steps_mailing_id')),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f('ix_sequence_steps_sequence_id'), 'sequence_steps', ['sequence_id'])
    create_enrolments()
    create_triggers()


def create_sequences():
    op.create_table(
        'sequences',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('name', sa.String(length=200), nullable=False),
        sa.Column('state', choose('state', 'draft', 'active', 'paused', 'archived'), nullable=False),
        sa.Column(
            'trigger', choose('trigger', 'manual', 'form', 'tag', 'topic', 'segment', 'date'), nullable=False
        ),
        *(
            sa.Column(name, sa.Integer(), nullable=True)
            for name in ('form_id', 'tag_id', 'joined_topic_id', 'segment_id')
        ),
        sa.Column('date_key', sa.String(length=100), server_default='', nullable=False),
        sa.Column('date_offset', sa.Integer(), server_default=sa.text('0'), nullable=False),
        sa.Column('is_yearly', sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column('reenter_days', sa.Integer(), nullable=True),
        sa.Column('exit_conditions', JSON, nullable=True),
        sa.Column('on_late', choose('on_late', 'send', 'skip'), nullable=False),
        sa.Column('weekdays', sa.String(length=7), nullable=False),
        sa.Column('opens_at', sa.Time(), nullable=True),
        sa.Column('closes_at', sa.Time(), nullable=True),
        sa.Column('sender_id', sa.Integer(), nullable=True),
        sa.Column('topic_id', sa.Integer(), nullable=True),
        sa.Column('track_clicks', sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column('checked_at', MOMENT, nullable=True),
        sa.Column('checked_on', sa.Date(), nullable=True),
        *(count(name) for name in ('entered', 'done', 'left')),
        sa.Column('version', sa.Integer(), server_default=sa.text('1'), nullable=False),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('updated_at', MOMENT, nullable=False),
        refer_to('sequences', 'owner_id', 'users', 'CASCADE'),
        *(
            refer_to('sequences', column, target, 'SET NULL')
            for column, target in (
                ('form_id', 'forms'),
                ('tag_id', 'tags'),
                ('joined_topic_id', 'topics'),
                ('segment_id', 'segments'),
                ('sender_id', 'senders'),
                ('topic_id', 'topics'),
            )
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_sequences')),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f('ix_sequences_owner_id_id'), 'sequences', ['owner_id', 'id'])
    for column in ('form_id', 'tag_id', 'joined_topic_id', 'segment_id', 'sender_id', 'topic_id'):
        op.create_index(op.f(f'ix_sequences_{column}'), 'sequences', [column])


def create_enrolments():
    op.create_table(
        'enrolments',
        sa.Column('id', BIG_ID, nullable=False),
        sa.Column('sequence_id', sa.Integer(), nullable=False),
        sa.Column('client_id', BIG_ID, nullable=False),
        sa.Column('entry', sa.Integer(), nullable=False),
        sa.Column('state', sa.String(length=16), nullable=False),
        sa.Column('step_id', sa.Integer(), nullable=False),
        sa.Column('due_at', MOMENT, nullable=True),
        sa.Column('entered_at', MOMENT, nullable=False),
        sa.Column('ended_at', MOMENT, nullable=True),
        sa.Column('left_reason', sa.String(length=16), server_default='', nullable=False),
        sa.CheckConstraint("state <> 'active' OR due_at IS NOT NULL", name=op.f('ck_enrolments_due')),
        refer_to('enrolments', 'sequence_id', 'sequences', 'CASCADE'),
        refer_to('enrolments', 'client_id', 'clients', 'CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_enrolments')),
        sa.UniqueConstraint(
            'client_id', 'sequence_id', 'entry', name=op.f('uq_enrolments_client_id_sequence_id_entry')
        ),
    )
    op.create_index(op.f('ix_enrolments_sequence_id_id'), 'enrolments', ['sequence_id', 'id'])
    op.create_index(
        'ix_enrolments_due',
        'enrolments',
        ['step_id', 'due_at'],
        postgresql_where=IS_ACTIVE,
        sqlite_where=IS_ACTIVE,
    )
    op.create_index(
        'ix_enrolments_paused', 'enrolments', ['step_id'], postgresql_where=IS_PAUSED, sqlite_where=IS_PAUSED
    )
    op.create_table(
        'step_letters',
        sa.Column('enrolment_id', BIG_ID, autoincrement=False, nullable=False),
        sa.Column('step_id', sa.Integer(), autoincrement=False, nullable=False),
        refer_to('step_letters', 'enrolment_id', 'enrolments', 'CASCADE'),
        sa.PrimaryKeyConstraint('enrolment_id', 'step_id', name=op.f('pk_step_letters')),
        sqlite_with_rowid=False,
    )
    op.create_table(
        'sequence_signals',
        sa.Column('id', BIG_ID, nullable=False),
        sa.Column('sequence_id', sa.Integer(), nullable=False),
        sa.Column('client_id', BIG_ID, nullable=False),
        refer_to('sequence_signals', 'sequence_id', 'sequences', 'CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_sequence_signals')),
    )
    op.create_index(op.f('ix_sequence_signals_sequence_id'), 'sequence_signals', ['sequence_id'])


def create_triggers():
    bind = op.get_bind()
    for name, event, table, statement, row_statement in TRIGGERS:
        if bind.dialect.name == 'sqlite':
            of_column = ' OF is_joined' if event == 'UPDATE' else ''
            bind.exec_driver_sql(
                f'CREATE TRIGGER {name} AFTER {event}{of_column} ON {table} BEGIN {row_statement}; END'
            )
            continue
        earlier = 'OLD TABLE AS earlier ' if event == 'UPDATE' else ''
        bind.exec_driver_sql(
            f'CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $function$ BEGIN {statement}; '
            'RETURN NULL; END $function$'
        )
        bind.exec_driver_sql(
            f'CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING NEW TABLE AS changed {earlier}'
            f'FOR EACH STATEMENT EXECUTE FUNCTION {name}()'
        )


def choose(name, *values):
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=16)


def count(name):
    return sa.Column(name, sa.BigInteger(), server_default=sa.text('0'), nullable=False)


def refer_to(table, column, target, ondelete):
    name = op.f(f'fk_{table}_{column}_{target}')
    return sa.ForeignKeyConstraint([column], [f'{target}.id'], name=name, ondelete=ondelete)


def downgrade():
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM mailings WHERE kind = 'sequence'")):
        raise RuntimeError('An older version would show the steps of sequences as mailings.')
    is_sqlite = op.get_bind().dialect.name == 'sqlite'
    for name, _event, table, _statement, _row_statement in TRIGGERS:
        op.execute(f'DROP TRIGGER {name}' + ('' if is_sqlite else f' ON {table}'))
        if not is_sqlite:
            op.execute(f'DROP FUNCTION {name}()')
    for table in ('sequence_signals', 'step_letters', 'enrolments', 'sequence_steps', 'sequences'):
        op.drop_table(table)
