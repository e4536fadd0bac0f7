"""add sending domains, and the keys that sign their letters

Revision ID: 0034
Revises: 0033
Create Date: 2026-11-29 00:40:00

"""
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = '0034'
down_revision = '0033'
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')
VERIFIED = 'verified_at IS NOT NULL'


def upgrade():
    op.create_table(
        'sending_domains',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('name', sa.String(length=253), nullable=False),
        sa.Column('token', sa.String(length=32), nullable=False),
        sa.Column('verified_at', MOMENT, nullable=True),
        sa.Column('missing_since', MOMENT, nullable=True),
        sa.Column('is_signed', sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column('checked_at', MOMENT, nullable=True),
        sa.Column('check_requested_at', MOMENT, nullable=True),
        sa.Column('findings', JSON, server_default=sa.text("'{}'"), nullable=False),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('updated_at', MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_sending_domains_owner_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_sending_domains')),
        sa.UniqueConstraint('owner_id', 'name', name=op.f('uq_sending_domains_owner_id_name')),
    )
    op.create_index(
        'ix_sending_domains_verified',
        'sending_domains',
        ['name'],
        unique=True,
        postgresql_where=sa.text(VERIFIED),
        sqlite_where=sa.text(VERIFIED),
    )
    op.create_index(op.f('ix_sending_domains_checked_at'), 'sending_domains', ['checked_at'])
    op.create_table(
        'signing_keys',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('domain_id', sa.Integer(), nullable=False),
        sa.Column('number', sa.Integer(), nullable=False),
        sa.Column('selector', sa.String(length=63), nullable=False),
        sa.Column('secret', sa.Text(), nullable=False),
        sa.Column('public', sa.Text(), nullable=False),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('published_at', MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ['domain_id'], ['sending_domains.id'], name=op.f('fk_signing_keys_domain_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_signing_keys')),
        sa.UniqueConstraint('domain_id', 'number', name=op.f('uq_signing_keys_domain_id_number')),
    )
    op.add_column(
        'senders', sa.Column('is_confirmed_by_domain', sa.Boolean(), server_default=sa.false(), nullable=False)
    )


def downgrade():
    op.drop_column('senders', 'is_confirmed_by_domain')
    op.drop_table('signing_keys')
    op.drop_table('sending_domains')
