"""note until when letters of sequences may have been sent before a backup was restored

Revision ID: 0061
Revises: 0060
Create Date: 2026-11-29 22:00:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0061'
down_revision = '0060'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('sequences', sa.Column('restored_at', sa.DateTime(timezone=True), nullable=True))


def downgrade():
    op.drop_column('sequences', 'restored_at')
