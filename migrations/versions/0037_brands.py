"""add brands

Revision ID: 0037
Revises: 0036
Create Date: 2026-11-29 08:00:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0037'
down_revision = '0036'
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade():
    op.create_table(
        'brands',
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('name', sa.String(length=200), server_default='', nullable=False),
        sa.Column('website', sa.String(length=500), server_default='', nullable=False),
        sa.Column('color', sa.String(length=7), server_default='', nullable=False),
        sa.Column('logo_name', sa.String(length=60), server_default='', nullable=False),
        sa.Column('logo', sa.LargeBinary(), nullable=True),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('updated_at', MOMENT, nullable=False),
        sa.ForeignKeyConstraint(['owner_id'], ['users.id'], name=op.f('fk_brands_owner_id_users'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('owner_id', name=op.f('pk_brands')),
    )
    op.create_index(op.f('ix_brands_logo_name'), 'brands', ['logo_name'])


def downgrade():
    op.drop_table('brands')
