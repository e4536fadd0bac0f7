"""count the letters that mail servers accepted in the last 31 days by owner and hour

Revision ID: 0077
Revises: 0076
Create Date: 2026-11-30 22:00:00

"""
from datetime import UTC, datetime, timedelta

from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0077'
down_revision = '0076'
branch_labels = None
depends_on = None

HOURS = {
    'sqlite': "substr(begins_at, 1, 13) || ':00:00.000000'",
    'postgresql': "date_trunc('hour', begins_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'",
}


def upgrade():
    # New workers count each letter, in rows of their own; these are the letters before the upgrade. No
    # interval of a run crosses the end of an hour.
    bind = op.get_bind()
    hour = sa.literal_column(HOURS[bind.dialect.name])
    owner_id, sent = sa.column('owner_id'), sa.column('sent')
    begins_at = sa.column('begins_at', sa.DateTime(timezone=True))
    users = sa.table('users', sa.column('id'))
    accepted = (
        sa.select(owner_id, sa.literal_column("'accepted'"), hour, sa.func.sum(sent))
        .select_from(sa.table('run_intervals', owner_id, begins_at, sent))
        .where(begins_at >= datetime.now(UTC) - timedelta(days=31), sent > 0)
        .where(owner_id.in_(sa.select(users.c.id)))
        .group_by(owner_id, hour)
    )
    hours = sa.table('usage_hours', *map(sa.column, ('owner_id', 'kind', 'begins_at', 'count')))
    bind.execute(sa.insert(hours).from_select(list(hours.c), accepted))


def downgrade():
    # Otherwise, another upgrade would count the same letters twice.
    op.execute("DELETE FROM usage_hours WHERE kind = 'accepted'")
