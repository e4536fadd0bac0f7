"""add the language of messages, and the types of clients' attributes

Revision ID: 0022
Revises: 0021
Create Date: 2026-11-28 14:30:00

"""
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = '0022'
down_revision = '0021'
branch_labels = None
depends_on = None

JsonObject = sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')
TABLES = ('messages', 'message_drafts', 'runs')


def upgrade():
    for table in TABLES:
        op.add_column(table, sa.Column('language', sa.String(10), server_default='', nullable=False))
    op.add_column('users', sa.Column('attribute_types', JsonObject, server_default='{}', nullable=False))
    op.add_column('users', sa.Column('date_order', sa.String(3), server_default='', nullable=False))


def downgrade():
    op.drop_column('users', 'date_order')
    op.drop_column('users', 'attribute_types')
    for table in TABLES:
        op.drop_column(table, 'language')
