"""index a run's letters that are due again

With 300,000 waiting letters, each claim by a worker took 0.8 s on SQLite.

Revision ID: 0015
Revises: 0014
Create Date: 2026-11-25 17:45:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None


def upgrade():
    op.create_index(
        'ix_deliveries_retry', 'deliveries', ['run_id', 'due_at'], unique=False,
        postgresql_where=sa.text("state = 'deferred'"), sqlite_where=sa.text("state = 'deferred'"),
    )


def downgrade():
    op.drop_index('ix_deliveries_retry', table_name='deliveries')
