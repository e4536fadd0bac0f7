"""add the columns that an owner sees in the list of clients

Revision ID: 0029
Revises: 0028
Create Date: 2026-11-28 21:55:00

"""
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = '0029'
down_revision = '0028'
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), 'postgresql')


def upgrade():
    op.add_column('users', sa.Column('client_columns', JSON, nullable=True))


def downgrade():
    op.drop_column('users', 'client_columns')
