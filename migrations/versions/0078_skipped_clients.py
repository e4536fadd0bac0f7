"""count the clients that an action on many clients skipped

Revision ID: 0078
Revises: 0077
Create Date: 2026-11-30 22:00:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0078'
down_revision = '0077'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('bulk_jobs', sa.Column('skipped', sa.Integer(), nullable=False, server_default='0'))


def downgrade():
    op.drop_column('bulk_jobs', 'skipped')
