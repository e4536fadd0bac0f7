"""add links of runs, clicks and days of opens

Revision ID: 0041
Revises: 0040
Create Date: 2026-11-29 08:30:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0041'
down_revision = '0040'
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
ZERO = sa.text('0')
MODES = ('off', 'day', 'person')
COUNTED = ('run_intervals', 'report_days', 'runs')


def count(name, type_=sa.Integer):
    return sa.Column(name, type_(), server_default=ZERO, nullable=False)


def upgrade():
    for table in COUNTED:
        op.add_column(table, count('clicked', sa.BigInteger))
    for table in ('mailings', 'runs'):
        op.add_column(table, sa.Column('track_clicks', sa.Boolean(), server_default=sa.false(), nullable=False))
        # Without a check constraint, which SQLite adds only by copying the table.
        op.add_column(table, sa.Column('track_opens', sa.String(length=16), server_default='off', nullable=False))
    op.create_table(
        'run_links',
        sa.Column('run_id', sa.Integer(), nullable=False),
        sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('url', sa.Text(), nullable=False),
        sa.Column('label', sa.String(length=200), server_default='', nullable=False),
        count('people', sa.BigInteger),
        count('clicks', sa.BigInteger),
        count('machine_clicks', sa.BigInteger),
        sa.ForeignKeyConstraint(['run_id'], ['runs.id'], name=op.f('fk_run_links_run_id_runs'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('run_id', 'number', name=op.f('pk_run_links')),
    )
    op.create_table(
        'engagements',
        sa.Column('delivery_id', BIG_ID, autoincrement=False, nullable=False),
        sa.Column('run_id', sa.Integer(), nullable=False),
        sa.Column('mailing_id', sa.Integer(), nullable=False),
        sa.Column('first_click_at', sa.BigInteger(), nullable=True),
        count('clicks'),
        count('machine_clicks'),
        sa.Column('opened_on', sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(['run_id'], ['runs.id'], name=op.f('fk_engagements_run_id_runs'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(
            ['mailing_id'], ['mailings.id'], name=op.f('fk_engagements_mailing_id_mailings'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('delivery_id', name=op.f('pk_engagements')),
    )
    op.create_index(op.f('ix_engagements_mailing_id'), 'engagements', ['mailing_id'])
    op.create_index(op.f('ix_engagements_run_id_delivery_id'), 'engagements', ['run_id', 'delivery_id'])
    op.create_table(
        'clicks',
        sa.Column('delivery_id', BIG_ID, autoincrement=False, nullable=False),
        sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('run_id', sa.Integer(), nullable=False),
        sa.Column('first_at', sa.BigInteger(), nullable=False),
        sa.Column('last_at', sa.BigInteger(), nullable=False),
        sa.Column('was_person', sa.Boolean(), server_default=sa.false(), nullable=False),
        count('clicks'),
        count('machine_clicks'),
        sa.ForeignKeyConstraint(['run_id'], ['runs.id'], name=op.f('fk_clicks_run_id_runs'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('delivery_id', 'number', name=op.f('pk_clicks')),
    )
    op.create_index(op.f('ix_clicks_run_id_number_delivery_id'), 'clicks', ['run_id', 'number', 'delivery_id'])
    op.create_table(
        'hit_folds',
        sa.Column('name', sa.String(length=32), nullable=False),
        count('done'),
        sa.Column('folded_at', MOMENT, nullable=False),
        sa.PrimaryKeyConstraint('name', name=op.f('pk_hit_folds')),
    )
    op.create_index(op.f('ix_hit_folds_folded_at'), 'hit_folds', ['folded_at'])


def downgrade():
    for table in ('hit_folds', 'clicks', 'engagements', 'run_links'):
        op.drop_table(table)
    for table in ('runs', 'mailings'):
        op.drop_column(table, 'track_opens')
        op.drop_column(table, 'track_clicks')
    for table in reversed(COUNTED):
        op.drop_column(table, 'clicked')
