"""an index of possible duplicates

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-23 00:30:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table('deliveries', schema=None) as batch_op:
        batch_op.create_index('ix_deliveries_unknowns', ['run_id', 'state'], unique=False, postgresql_where=sa.text('unknowns > 0'), sqlite_where=sa.text('unknowns > 0'))
    # From now on, an unknown delivery with a time was left by its owner; existing ones wait for a decision.
    op.execute("UPDATE deliveries SET finished_at = NULL WHERE state = 'unknown'")


def downgrade():
    with op.batch_alter_table('deliveries', schema=None) as batch_op:
        batch_op.drop_index('ix_deliveries_unknowns', postgresql_where=sa.text('unknowns > 0'), sqlite_where=sa.text('unknowns > 0'))
