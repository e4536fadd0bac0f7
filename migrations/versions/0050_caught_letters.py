"""let test keys send letters, which workers catch, and keep older versions from sending them

Revision ID: 0050
Revises: 0049
Create Date: 2026-11-29 15:00:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0050'
down_revision = '0049'
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
RUN_STATES = ('planned', 'sending', 'routed', 'tested', 'transactional', 'finished', 'cancelled', 'skipped')
HOLDS_CAUGHT_LETTERS = "kind = 'caught-letters' AND state IN ('running', 'paused')"
IS_CAUGHT = sa.text("kind IN ('caught', 'caught-letters')")
OF_SENDER = sa.text(f'{HOLDS_CAUGHT_LETTERS} AND sender_id IS NOT NULL')
WITHOUT_SENDER = sa.text(f'{HOLDS_CAUGHT_LETTERS} AND sender_id IS NULL')
NEVER_SCHEDULED = "kind <> 'caught' OR (state <> 'scheduled' AND next_run_at IS NULL)"


def upgrade():
    triggers = drop_triggers()
    with op.batch_alter_table('mailings', schema=None) as batch_op:
        batch_op.create_check_constraint('caught', sa.text(NEVER_SCHEDULED))
    with op.batch_alter_table('runs', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_runs_state'), type_='check')
        states = [*RUN_STATES, 'caught', 'caught-letters']
        batch_op.create_check_constraint('state', sa.column('state').in_(states))
    for trigger in triggers:
        op.execute(trigger)
    create_index('ix_mailings_caught_letters_of_sender', ['owner_id', 'sender_id'], OF_SENDER, unique=True)
    create_index('ix_mailings_caught_letters', ['owner_id'], WITHOUT_SENDER, unique=True)
    create_index('ix_mailings_caught', ['owner_id'], IS_CAUGHT, unique=False)
    op.add_column(
        'transactional_letters',
        sa.Column('is_caught', sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column(
        'transactional_letters',
        sa.Column('email_key', sa.String(length=320), server_default='', nullable=False),
    )
    op.execute(
        'UPDATE transactional_letters SET email_key = '
        '(SELECT email_key FROM deliveries WHERE deliveries.id = transactional_letters.delivery_id)'
    )
    op.create_index(
        op.f('ix_transactional_letters_owner_id_email_key_delivery_id'),
        'transactional_letters',
        ['owner_id', 'email_key', 'delivery_id'],
    )
    op.create_table(
        'caught_letters',
        sa.Column('id', BIG_ID, nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('delivery_id', BIG_ID, nullable=False),
        sa.Column('email', sa.String(length=320), nullable=False),
        sa.Column('subject', sa.String(length=998), nullable=False),
        sa.Column('source', sa.LargeBinary(), nullable=False),
        sa.Column('caught_at', MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_caught_letters_owner_id_users'), ondelete='CASCADE'
        ),
        sa.ForeignKeyConstraint(
            ['delivery_id'],
            ['deliveries.id'],
            name=op.f('fk_caught_letters_delivery_id_deliveries'),
            ondelete='CASCADE',
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_caught_letters')),
        sa.UniqueConstraint('delivery_id', name=op.f('uq_caught_letters_delivery_id')),
    )
    op.create_index(op.f('ix_caught_letters_owner_id_id'), 'caught_letters', ['owner_id', 'id'])


def create_index(name, columns, condition, *, unique):
    op.create_index(
        name, 'mailings', columns, unique=unique, postgresql_where=condition, sqlite_where=condition
    )


def drop_triggers():
    """Drop the triggers that SQLite would drop with the tables, or that refer to them; return their source."""
    if op.get_bind().dialect.name != 'sqlite':
        return []
    triggers = op.get_bind().execute(
        sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ('runs', 'mailings')")
    ).all()
    for name, _sql in triggers:
        op.execute(f'DROP TRIGGER {name}')
    return [sql for _name, sql in triggers]


def downgrade():
    # An older version would show them as mailings, and count their letters.
    op.execute(sa.text("DELETE FROM mailings WHERE kind IN ('caught', 'caught-letters')"))
    op.drop_table('caught_letters')
    op.drop_index(
        op.f('ix_transactional_letters_owner_id_email_key_delivery_id'), table_name='transactional_letters'
    )
    with op.batch_alter_table('transactional_letters', schema=None) as batch_op:
        batch_op.drop_column('email_key')
        batch_op.drop_column('is_caught')
    for name in ('ix_mailings_caught', 'ix_mailings_caught_letters', 'ix_mailings_caught_letters_of_sender'):
        op.drop_index(name, table_name='mailings')
    triggers = drop_triggers()
    with op.batch_alter_table('runs', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_runs_state'), type_='check')
        batch_op.create_check_constraint('state', sa.column('state').in_(RUN_STATES))
    with op.batch_alter_table('mailings', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_mailings_caught'), type_='check')
    for trigger in triggers:
        op.execute(trigger)
