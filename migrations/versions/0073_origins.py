"""store how clients were added

Revision ID: 0073
Revises: 0072
Create Date: 2026-11-30 11:30:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0073'
down_revision = '0072'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('clients', sa.Column('origin', sa.String(length=16), nullable=True))
    op.add_column('clients', sa.Column('origin_id', sa.Integer(), nullable=True))


def downgrade():
    op.drop_column('clients', 'origin_id')
    op.drop_column('clients', 'origin')
