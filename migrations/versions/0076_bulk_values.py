"""store the field and the value of actions on many clients

Revision ID: 0076
Revises: 0075
Create Date: 2026-11-30 18:50:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0076'
down_revision = '0075'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('bulk_jobs', sa.Column('field', sa.String(length=50), nullable=False, server_default=''))
    op.add_column('bulk_jobs', sa.Column('value', sa.Text(), nullable=False, server_default=''))


def downgrade():
    # The older version cannot read this action. Undo data, which is kept for an hour, may be about it, too.
    op.execute("DELETE FROM bulk_chunks WHERE job_id IN (SELECT id FROM bulk_jobs WHERE action = 'set')")
    op.execute("DELETE FROM bulk_jobs WHERE action = 'set'")
    op.execute("DELETE FROM removals WHERE kind = 'bulk'")
    op.drop_column('bulk_jobs', 'value')
    op.drop_column('bulk_jobs', 'field')
