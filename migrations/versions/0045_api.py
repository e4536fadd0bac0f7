"""add API keys, and the responses to requests with an Idempotency-Key

Revision ID: 0045
Revises: 0044
Create Date: 2026-11-29 11:35:00

"""
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = '0045'
down_revision = '0044'
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade():
    op.create_table(
        'api_keys',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('name', sa.String(length=100), nullable=False),
        sa.Column('kind', sa.String(length=16), nullable=False),
        sa.Column('prefix', sa.String(length=20), nullable=False),
        sa.Column('digest', sa.String(length=64), nullable=False),
        sa.Column('scopes', JSON, nullable=False),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('expires_at', MOMENT, nullable=True),
        sa.Column('revoked_at', MOMENT, nullable=True),
        sa.CheckConstraint(sa.column('kind').in_(['live', 'test']), name=op.f('ck_api_keys_kind')),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_api_keys_owner_id_users'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_api_keys')),
        sa.UniqueConstraint('digest', name=op.f('uq_api_keys_digest')),
    )
    op.create_index(op.f('ix_api_keys_owner_id'), 'api_keys', ['owner_id'])
    op.create_table(
        'idempotent_requests',
        sa.Column('id', BIG_ID, nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('key', sa.String(length=255), nullable=False),
        sa.Column('request_hash', sa.String(length=64), nullable=False),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('lease_until', MOMENT, nullable=True),
        sa.Column('status', sa.SmallInteger(), nullable=True),
        sa.Column('headers', JSON, nullable=True),
        sa.Column('body', sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_idempotent_requests_owner_id_users'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_idempotent_requests')),
        sa.UniqueConstraint('owner_id', 'key', name=op.f('uq_idempotent_requests_owner_id_key')),
    )
    op.create_index(op.f('ix_idempotent_requests_created_at'), 'idempotent_requests', ['created_at'])


def downgrade():
    op.drop_table('idempotent_requests')
    op.drop_table('api_keys')
