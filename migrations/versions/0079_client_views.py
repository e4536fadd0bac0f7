"""add the saved views of the list of clients

Revision ID: 0079
Revises: 0078
Create Date: 2026-11-30 22:50:00

"""
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = '0079'
down_revision = '0078'
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), 'postgresql')


def upgrade():
    op.add_column('users', sa.Column('client_views', JSON, nullable=True))


def downgrade():
    op.drop_column('users', 'client_views')
