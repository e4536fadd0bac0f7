"""count opens of people who agreed to it

Revision ID: 0043
Revises: 0042
Create Date: 2026-11-29 10:40:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0043'
down_revision = '0042'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('engagements', sa.Column('opens', sa.Integer(), server_default=sa.text('0'), nullable=False))
    op.add_column('engagements', sa.Column('last_open_at', sa.BigInteger(), nullable=True))
    op.add_column('forms', sa.Column('asks_tracking', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column('forms', sa.Column('tracking_text', sa.Text(), server_default='', nullable=False))
    op.add_column('signups', sa.Column('tracking_text_id', sa.Integer(), nullable=True))


def downgrade():
    for table, column in (
        ('signups', 'tracking_text_id'),
        ('forms', 'tracking_text'),
        ('forms', 'asks_tracking'),
        ('engagements', 'last_open_at'),
        ('engagements', 'opens'),
    ):
        op.drop_column(table, column)
