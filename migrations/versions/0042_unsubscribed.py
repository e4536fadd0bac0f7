"""count who unsubscribed, by run

Revision ID: 0042
Revises: 0041
Create Date: 2026-11-29 10:30:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0042'
down_revision = '0041'
branch_labels = None
depends_on = None

COUNTED = ('run_intervals', 'report_days', 'runs')


def upgrade():
    for table in COUNTED:
        op.add_column(
            table, sa.Column('unsubscribed', sa.BigInteger(), server_default=sa.text('0'), nullable=False)
        )
    op.add_column('opt_outs', sa.Column('run_id', sa.Integer(), nullable=True))


def downgrade():
    op.drop_column('opt_outs', 'run_id')
    for table in reversed(COUNTED):
        op.drop_column(table, 'unsubscribed')
