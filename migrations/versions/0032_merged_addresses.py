"""add the addresses of merged clients, so that who opts out at one opts out at the other, too

Revision ID: 0032
Revises: 0031
Create Date: 2026-11-28 23:10:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0032'
down_revision = '0031'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        'merged_addresses',
        sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('email_key', sa.String(length=320), nullable=False),
        sa.Column('kept_key', sa.String(length=320), nullable=False),
        sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_merged_addresses_owner_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_merged_addresses')),
        sa.UniqueConstraint('owner_id', 'email_key', name=op.f('uq_merged_addresses_owner_id_email_key')),
    )


def downgrade():
    op.drop_table('merged_addresses')
