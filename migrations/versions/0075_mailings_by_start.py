"""index mailings by their start, for the panel

Revision ID: 0075
Revises: 0074
Create Date: 2026-11-30 16:15:00

"""
from alembic import op

# revision identifiers, used by Alembic.
revision = '0075'
down_revision = '0074'
branch_labels = None
depends_on = None


def upgrade():
    op.create_index(op.f('ix_mailings_starts_at_id'), 'mailings', ['starts_at', 'id'])


def downgrade():
    op.drop_index(op.f('ix_mailings_starts_at_id'), table_name='mailings')
