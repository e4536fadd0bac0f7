"""add webhooks: endpoints, events and calls

Revision ID: 0047
Revises: 0046
Create Date: 2026-11-29 11:40:00

"""
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = '0047'
down_revision = '0046'
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
JSON = sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')
ZERO = sa.text('0')
EMPTY = ''
NO_REUSE = {'sqlite_autoincrement': True}  # of the IDs of deleted rows


def upgrade():
    create_endpoints()
    create_events()
    create_calls()


def create_endpoints():
    op.create_table(
        'webhook_endpoints',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('url', sa.String(length=1000), nullable=False),
        sa.Column('events', JSON, nullable=False),
        sa.Column('encrypted_secret', sa.Text(), nullable=False),
        sa.Column('encrypted_old_secret', sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column('old_secret_until', MOMENT, nullable=True),
        sa.Column('state', sa.String(length=16), nullable=False),
        sa.Column('disabled_reason', sa.String(length=16), server_default=EMPTY, nullable=False),
        sa.Column('faults', sa.Integer(), server_default=ZERO, nullable=False),
        sa.Column('faults_since', MOMENT, nullable=True),
        sa.Column('paused_until', MOMENT, nullable=True),
        sa.Column('wants_letters', sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column('letters_cursor', sa.BigInteger(), server_default=ZERO, nullable=False),
        sa.Column('letters_until', sa.BigInteger(), server_default=ZERO, nullable=False),
        sa.Column('letters_horizon', sa.BigInteger(), server_default=ZERO, nullable=False),
        sa.Column('version', sa.Integer(), server_default=sa.text('1'), nullable=False),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('updated_at', MOMENT, nullable=False),
        sa.CheckConstraint(
            sa.column('state').in_(['enabled', 'disabled']), name=op.f('ck_webhook_endpoints_state')
        ),
        refer_to('webhook_endpoints', 'owner_id', 'users'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_webhook_endpoints')),
        **NO_REUSE,
    )
    op.create_index(op.f('ix_webhook_endpoints_owner_id_id'), 'webhook_endpoints', ['owner_id', 'id'])
    create_partial_index('ix_webhook_endpoints_enabled', 'webhook_endpoints', ['owner_id'], "state = 'enabled'")


def create_events():
    op.create_table(
        'webhook_events',
        sa.Column('id', BIG_ID, nullable=False),
        sa.Column('uuid', sa.Uuid(), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('type', sa.String(length=32), nullable=False),
        sa.Column('data', JSON, nullable=False),
        sa.Column('at', MOMENT, nullable=False),
        refer_to('webhook_events', 'owner_id', 'users'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_webhook_events')),
    )
    op.create_index(op.f('ix_webhook_events_owner_id'), 'webhook_events', ['owner_id'])


def create_calls():
    op.create_table(
        'webhook_calls',
        sa.Column('id', BIG_ID, nullable=False),
        sa.Column('event_id', BIG_ID, nullable=False),
        sa.Column('endpoint_id', sa.Integer(), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('state', sa.String(length=16), nullable=False),
        sa.Column('attempts', sa.Integer(), server_default=ZERO, nullable=False),
        sa.Column('due_at', MOMENT, nullable=False),
        sa.Column('lease_until', MOMENT, nullable=True),
        sa.Column('last_code', sa.Integer(), nullable=True),
        sa.Column('last_response', sa.String(length=200), server_default=EMPTY, nullable=False),
        sa.Column('last_at', MOMENT, nullable=True),
        sa.CheckConstraint(
            sa.column('state').in_(['pending', 'delivered', 'failed']), name=op.f('ck_webhook_calls_state')
        ),
        refer_to('webhook_calls', 'event_id', 'webhook_events'),
        refer_to('webhook_calls', 'endpoint_id', 'webhook_endpoints'),
        refer_to('webhook_calls', 'owner_id', 'users'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_webhook_calls')),
    )
    op.create_index(op.f('ix_webhook_calls_event_id'), 'webhook_calls', ['event_id'])
    op.create_index(op.f('ix_webhook_calls_owner_id'), 'webhook_calls', ['owner_id'])
    op.create_index(op.f('ix_webhook_calls_endpoint_id_id'), 'webhook_calls', ['endpoint_id', 'id'])
    create_partial_index('ix_webhook_calls_due', 'webhook_calls', ['endpoint_id', 'due_at'], "state = 'pending'")


def refer_to(table, column, target):
    name = op.f(f'fk_{table}_{column}')
    return sa.ForeignKeyConstraint([column], [f'{target}.id'], name=name, ondelete='CASCADE')


def create_partial_index(name, table, columns, condition):
    where = sa.text(condition)
    op.create_index(name, table, columns, postgresql_where=where, sqlite_where=where)


def downgrade():
    op.drop_table('webhook_calls')
    op.drop_table('webhook_events')
    op.drop_table('webhook_endpoints')
