"""count users' usage, and trust existing users

New accounts send few letters at first; existing accounts keep sending as before.

Revision ID: 0018
Revises: 0017
Create Date: 2026-11-28 11:30:00

"""
from datetime import UTC, datetime

from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0018'
down_revision = '0017'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        'usage_hours',
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('kind', sa.String(length=32), nullable=False),
        sa.Column('begins_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('count', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_usage_hours_owner_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('owner_id', 'kind', 'begins_at', name=op.f('pk_usage_hours')),
    )
    op.add_column('users', sa.Column('trusted_at', sa.DateTime(timezone=True), nullable=True))
    moment = sa.DateTime(timezone=True)
    users = sa.table('users', sa.column('trusted_at', moment), sa.column('confirmed_at', moment))
    confirmed = users.update().where(users.c.confirmed_at.is_not(None))
    op.execute(confirmed.values(trusted_at=datetime.now(UTC)))


def downgrade():
    op.drop_column('users', 'trusted_at')
    op.drop_table('usage_hours')
