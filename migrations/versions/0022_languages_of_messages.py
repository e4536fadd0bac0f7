"""add the language of messages, of their drafts and of what runs send

Revision ID: 0022
Revises: 0021
Create Date: 2026-11-28 14:30:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0022'
down_revision = '0021'
branch_labels = None
depends_on = None

TABLES = ('messages', 'message_drafts', 'runs')


def upgrade():
    for table in TABLES:
        op.add_column(table, sa.Column('language', sa.String(10), server_default='', nullable=False))


def downgrade():
    for table in TABLES:
        op.drop_column(table, 'language')
