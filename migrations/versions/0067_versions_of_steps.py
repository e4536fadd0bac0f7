"""give the steps of sequences a version, and copy the choice for late letters to what holds their letters

An older version does not count changes of steps, and lets their letters expire after eight days.

Revision ID: 0067
Revises: 0066
Create Date: 2026-11-29 23:20:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0067'
down_revision = '0066'
branch_labels = None
depends_on = None

COPY = """
UPDATE mailings SET on_late = 'skip' WHERE id IN (
    SELECT sequence_steps.mailing_id FROM sequence_steps
    JOIN sequences ON sequences.id = sequence_steps.sequence_id WHERE sequences.on_late = 'skip'
)
"""


def upgrade():
    op.add_column('sequence_steps', sa.Column('version', sa.Integer(), server_default='1', nullable=False))
    # No cached page depends on it, and there may be no Redis yet.
    op.execute(COPY, execution_options={'keeps_cache': True})


def downgrade():
    op.drop_column('sequence_steps', 'version')
