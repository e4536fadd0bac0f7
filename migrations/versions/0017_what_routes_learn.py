"""remember what routes learn about their mail servers

A route learns how fast its server accepts letters, and whether PIPELINING works.

Revision ID: 0017
Revises: 0015
Create Date: 2026-11-28 10:30:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0017'
down_revision = '0015'
branch_labels = None
depends_on = None


def columns():
    return (
        sa.Column('pace', sa.Float()),
        sa.Column('pace_at_refusal', sa.Float()),
        sa.Column('pace_lowered_at', sa.DateTime(timezone=True)),
        sa.Column('pace_changed_at', sa.DateTime(timezone=True)),
        sa.Column('paused_until', sa.DateTime(timezone=True)),
        sa.Column('refusals_in_a_row', sa.Integer(), server_default='0', nullable=False),
        sa.Column('last_refusal', sa.String(500), server_default='', nullable=False),
        sa.Column('step_by_step_since', sa.DateTime(timezone=True)),
    )


def upgrade():
    for column in columns():
        op.add_column('routes', column)


def downgrade():
    for column in columns():
        op.drop_column('routes', column.name)
