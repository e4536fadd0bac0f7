"""keep what the columns of an import mean, and count opt-outs

Revision ID: 0023
Revises: 0022
Create Date: 2026-11-28 14:40:00

"""
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = '0023'
down_revision = '0022'
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')


def columns():
    return (
        sa.Column('mapping', JSON, nullable=True),
        sa.Column('suppressed', sa.Integer(), server_default='0', nullable=False),
        sa.Column('left_out', sa.Integer(), server_default='0', nullable=False),
    )


def upgrade():
    for column in columns():
        op.add_column('client_imports', column)


def downgrade():
    for column in columns():
        op.drop_column('client_imports', column.name)
