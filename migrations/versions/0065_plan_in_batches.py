"""plan large runs in batches on SQLite

An older version plans each run in one transaction.

Revision ID: 0065
Revises: 0064
Create Date: 2026-11-29 22:40:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0065'
down_revision = '0064'
branch_labels = None
depends_on = None

IS_UNPLANNED = sa.text('plan_after IS NOT NULL')


def upgrade():
    for name in ('plan_after', 'plan_until'):
        op.add_column('runs', sa.Column(name, sa.BigInteger(), nullable=True))
    op.create_index('ix_runs_unplanned', 'runs', ['id'], postgresql_where=IS_UNPLANNED, sqlite_where=IS_UNPLANNED)


def downgrade():
    if op.get_bind().scalar(sa.text('SELECT count(*) FROM runs WHERE plan_after IS NOT NULL')):
        raise RuntimeError('Wait until the runs are planned.')
    op.drop_index('ix_runs_unplanned', table_name='runs')
    for name in ('plan_until', 'plan_after'):
        op.drop_column('runs', name)
