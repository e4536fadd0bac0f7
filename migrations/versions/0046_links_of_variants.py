"""store which variants of a run contain a link

Revision ID: 0046
Revises: 0045
Create Date: 2026-11-29 11:40:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0046'
down_revision = '0045'
branch_labels = None
depends_on = None


def upgrade():
    column = sa.Column('variants', sa.SmallInteger(), server_default=sa.text('0'), nullable=False)
    op.add_column('run_links', column)


def downgrade():
    op.drop_column('run_links', 'variants')
