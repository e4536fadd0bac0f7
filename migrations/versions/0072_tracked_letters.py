"""count the letters of runs that count clicks, by day

Revision ID: 0072
Revises: 0071
Create Date: 2026-11-30 11:00:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0072'
down_revision = '0071'
branch_labels = None
depends_on = None

# A day is valid while none of its intervals has changed since, so these sums equal those of a new rollup.
TRACKED = (
    'SELECT SUM(i.sent - i.returned) FROM run_intervals AS i JOIN runs ON runs.id = i.run_id '
    'WHERE runs.track_clicks AND i.begins_at >= report_days.begins_at AND i.begins_at < report_days.ends_at'
)
OF_MAILING = f'{TRACKED} AND i.mailing_id = report_days.mailing_id'
OF_OWNER = f'{TRACKED} AND i.owner_id = report_days.owner_id'
STATEMENTS = (
    f'UPDATE report_days SET tracked = COALESCE(({OF_MAILING}), 0) WHERE mailing_id <> 0',
    f'UPDATE report_days SET tracked = COALESCE(({OF_OWNER}), 0) WHERE mailing_id = 0',
)


def upgrade():
    op.add_column('report_days', sa.Column('tracked', sa.BigInteger(), nullable=True))
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade():
    op.drop_column('report_days', 'tracked')
