"""add transactional letters, and keep older versions from cancelling them

Revision ID: 0048
Revises: 0047
Create Date: 2026-11-29 12:30:00

"""
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = '0048'
down_revision = '0047'
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
RUN_STATES = ('planned', 'sending', 'routed', 'tested', 'finished', 'cancelled', 'skipped')
FORMATS = ('markdown', 'html', 'text')
HOLDS_LETTERS = "kind = 'transactional' AND state IN ('running', 'paused')"
OF_SENDER = sa.text(f'{HOLDS_LETTERS} AND sender_id IS NOT NULL')
WITHOUT_SENDER = sa.text(f'{HOLDS_LETTERS} AND sender_id IS NULL')


def upgrade():
    triggers = drop_triggers()
    with op.batch_alter_table('mailings', schema=None) as batch_op:
        batch_op.add_column(
            sa.Column('kind', sa.String(length=16), server_default='mailing', nullable=False)
        )
        batch_op.alter_column('message_id', existing_type=sa.Integer(), nullable=True)
    with op.batch_alter_table('runs', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_runs_state'), type_='check')
        batch_op.create_check_constraint('state', sa.column('state').in_([*RUN_STATES, 'transactional']))
    for trigger in triggers:
        op.execute(trigger)
    create_unique_index('ix_mailings_letters_of_sender', ['owner_id', 'sender_id'], OF_SENDER)
    create_unique_index('ix_mailings_letters', ['owner_id'], WITHOUT_SENDER)
    create_letters()


def create_unique_index(name, columns, condition):
    op.create_index(name, 'mailings', columns, unique=True, postgresql_where=condition, sqlite_where=condition)


def create_letters():
    op.create_table(
        'letter_contents',
        sa.Column('id', BIG_ID, nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('digest', sa.String(length=64), nullable=False),
        sa.Column('subject', sa.String(length=500), nullable=False),
        sa.Column('format', sa.String(length=16), nullable=False),
        sa.Column('body', sa.Text(), nullable=False),
        sa.Column('language', sa.String(length=10), nullable=False),
        sa.Column('used_at', MOMENT, nullable=False),
        sa.CheckConstraint(sa.column('format').in_(FORMATS), name=op.f('ck_letter_contents_format')),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_letter_contents_owner_id_users'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_letter_contents')),
        sa.UniqueConstraint('owner_id', 'digest', name=op.f('uq_letter_contents_owner_id_digest')),
    )
    op.create_table(
        'transactional_letters',
        sa.Column('delivery_id', BIG_ID, autoincrement=False, nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('content_id', BIG_ID, nullable=False),
        sa.Column('name', sa.String(length=200), nullable=False),
        sa.Column('values', JSON, nullable=False),
        sa.Column('reference', sa.String(length=255), nullable=False),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ['delivery_id'],
            ['deliveries.id'],
            name=op.f('fk_transactional_letters_delivery_id_deliveries'),
            ondelete='CASCADE',
        ),
        sa.ForeignKeyConstraint(
            ['content_id'],
            ['letter_contents.id'],
            name=op.f('fk_transactional_letters_content_id_letter_contents'),
            ondelete='RESTRICT',
        ),
        sa.PrimaryKeyConstraint('delivery_id', name=op.f('pk_transactional_letters')),
    )
    op.create_index(op.f('ix_transactional_letters_content_id'), 'transactional_letters', ['content_id'])
    for columns in (['owner_id', 'delivery_id'], ['owner_id', 'reference', 'delivery_id']):
        op.create_index(op.f(f'ix_transactional_letters_{"_".join(columns)}'), 'transactional_letters', columns)


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
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM mailings WHERE kind = 'transactional'")):
        raise RuntimeError('An older version would show transactional letters as mailings without a message.')
    op.drop_table('transactional_letters')
    op.drop_table('letter_contents')
    op.drop_index('ix_mailings_letters', table_name='mailings')
    op.drop_index('ix_mailings_letters_of_sender', table_name='mailings')
    triggers = drop_triggers()
    with op.batch_alter_table('runs', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_runs_state'), type_='check')
        batch_op.create_check_constraint('state', sa.column('state').in_(RUN_STATES))
    with op.batch_alter_table('mailings', schema=None) as batch_op:
        batch_op.alter_column('message_id', existing_type=sa.Integer(), nullable=False)
        batch_op.drop_column('kind')
    for trigger in triggers:
        op.execute(trigger)
