"""add reputations, which pause an owner's mailings, and count returned letters in reports

Revision ID: 0033
Revises: 0032
Create Date: 2026-11-29 00:30:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0033'
down_revision = '0032'
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
COUNTS = [(table, name) for table in ('run_intervals', 'report_days') for name in ('returned', 'complaints')]


def upgrade():
    for table, name in COUNTS:
        op.add_column(table, sa.Column(name, sa.BigInteger(), nullable=False, server_default='0'))
    counts = [
        sa.Column(f'earlier_{name}', sa.Integer(), server_default='0', nullable=False)
        for name in ('letters', 'bounces', 'complaints')
    ]
    op.create_table(
        'reputations',
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('changed_at', MOMENT, nullable=True),
        sa.Column('counted_since', MOMENT, nullable=True),
        *counts,
        sa.Column('paused_at', MOMENT, nullable=True),
        sa.Column('pause_reason', sa.String(length=100), server_default='', nullable=False),
        sa.Column('is_notice_due', sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_reputations_owner_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('owner_id', name=op.f('pk_reputations')),
    )
    for name, column, condition in (
        ('changed', 'changed_at', 'changed_at IS NOT NULL'),
        ('notice', 'owner_id', 'is_notice_due'),
    ):
        op.create_index(
            f'ix_reputations_{name}',
            'reputations',
            [column],
            postgresql_where=sa.text(condition),
            sqlite_where=sa.text(condition),
        )


def downgrade():
    op.drop_table('reputations')
    for table, name in COUNTS:
        op.drop_column(table, name)
