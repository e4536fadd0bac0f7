"""count the devices on which people click, by run

Revision ID: 0071
Revises: 0070
Create Date: 2026-11-30 08:15:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0071'
down_revision = '0070'
branch_labels = None
depends_on = None

DEVICES = ('phone', 'tablet', 'computer')


def upgrade():
    for device in DEVICES:
        column = sa.Column(f'clicked_on_{device}', sa.BigInteger(), server_default=sa.text('0'), nullable=False)
        op.add_column('runs', column)


def downgrade():
    for device in reversed(DEVICES):
        op.drop_column('runs', f'clicked_on_{device}')
