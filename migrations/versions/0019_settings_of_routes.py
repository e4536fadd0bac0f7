"""remember the settings with which routes learned what they know

Revision ID: 0019
Revises: 0018
Create Date: 2026-11-28 11:30:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0019'
down_revision = '0018'
branch_labels = None
depends_on = None


def columns():
    return (
        sa.Column('settings_digest', sa.String(64), server_default='', nullable=False),
    )


def upgrade():
    for column in columns():
        op.add_column('routes', column)


def downgrade():
    for column in columns():
        op.drop_column('routes', column.name)
