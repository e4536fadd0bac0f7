"""add Message-IDs that can be read again

Revision ID: 0030
Revises: 0029
Create Date: 2026-12-01 12:00:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0030'
down_revision = '0029'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('runs', sa.Column('has_signed_ids', sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade():
    op.drop_column('runs', 'has_signed_ids')
