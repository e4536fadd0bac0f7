"""daily totals for reports

All existing intervals start as fresh. Sweeps add up their days, for up to one second each. Until then,
reports read the intervals.

Revision ID: 0013
Revises: 0012
Create Date: 2026-11-25 16:40:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None

# Changing an interval that has been added up marks it as fresh again. This covers the previous version too,
# which can run beside the new one or be restored.
UNMARKED = 'NOT OLD.is_fresh AND NOT NEW.is_fresh'
# Code that replaces the table on SQLite, as batch_alter_table does, must recreate this.
SQLITE_TRIGGER = (
    f'CREATE TRIGGER run_intervals_fresh AFTER UPDATE ON run_intervals WHEN {UNMARKED} BEGIN '
    'UPDATE run_intervals SET is_fresh = 1 WHERE run_id = NEW.run_id AND begins_at = NEW.begins_at; END'
)
COLUMNS = ('planned', 'sent', 'failed', 'unknown', 'expired', 'suppressed', 'cancelled', 'attempts')


def upgrade():
    op.add_column('run_intervals', sa.Column('is_fresh', sa.Boolean(), server_default=sa.true(), nullable=False))
    op.create_index(
        op.f('ix_run_intervals_fresh'), 'run_intervals', ['owner_id', 'begins_at'], unique=False,
        postgresql_where=sa.text('is_fresh'), sqlite_where=sa.text('is_fresh'),
    )
    op.create_table('report_days',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('owner_id', sa.Integer(), nullable=False),
    sa.Column('mailing_id', sa.Integer(), nullable=False),
    sa.Column('begins_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ends_at', sa.DateTime(timezone=True), nullable=False),
    *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COLUMNS),
    sa.Column('times', sa.Text(), nullable=False),
    sa.Column('reasons', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['owner_id'], ['users.id'], name=op.f('fk_report_days_owner_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_report_days')),
    sa.UniqueConstraint('owner_id', 'mailing_id', 'begins_at', name=op.f('uq_report_days_owner_id_mailing_id_begins_at'))
    )
    op.create_index(
        op.f('ix_report_days_planned'), 'report_days', ['owner_id', 'begins_at', 'mailing_id', 'planned'], unique=False
    )
    if op.get_bind().dialect.name == 'sqlite':
        op.execute(SQLITE_TRIGGER)
        return
    op.execute(
        'CREATE FUNCTION mark_interval_fresh() RETURNS trigger LANGUAGE plpgsql AS '
        '$$ BEGIN NEW.is_fresh := true; RETURN NEW; END $$'
    )
    op.execute(
        f'CREATE TRIGGER run_intervals_fresh BEFORE UPDATE ON run_intervals FOR EACH ROW WHEN ({UNMARKED}) '
        'EXECUTE FUNCTION mark_interval_fresh()'
    )


def downgrade():
    if op.get_bind().dialect.name == 'sqlite':
        op.execute('DROP TRIGGER run_intervals_fresh')
    else:
        op.execute('DROP TRIGGER run_intervals_fresh ON run_intervals')
        op.execute('DROP FUNCTION mark_interval_fresh()')
    op.drop_table('report_days')
    op.drop_index('ix_run_intervals_fresh', table_name='run_intervals')
    op.drop_column('run_intervals', 'is_fresh')
