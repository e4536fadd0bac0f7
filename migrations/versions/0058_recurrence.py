"""let mailings recur yearly, every few days, weeks or months, on chosen weekdays, or at the end of the month

Older versions cannot load a mailing with one of the new periodicities, so they never start it at a wrong time.

Revision ID: 0058
Revises: 0057
Create Date: 2026-11-29 19:00:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0058'
down_revision = '0057'
branch_labels = None
depends_on = None

PERIODICITIES = ('once', 'daily', 'weekly', 'monthly')
NEW = ('yearly', 'custom')
UNITS = ('day', 'week', 'month', 'year')


def upgrade():
    triggers = drop_triggers()
    with op.batch_alter_table('mailings', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_mailings_periodicity'), type_='check')
        batch_op.create_check_constraint('periodicity', sa.column('periodicity').in_([*PERIODICITIES, *NEW]))
        batch_op.add_column(
            sa.Column('repeat_unit', sa.String(length=16), server_default='week', nullable=False)
        )
        batch_op.create_check_constraint('repeat_unit', sa.column('repeat_unit').in_(UNITS))
        batch_op.add_column(
            sa.Column('repeat_every', sa.SmallInteger(), server_default='1', nullable=False)
        )
        batch_op.create_check_constraint('repeat_every', 'repeat_every > 0')
        batch_op.add_column(
            sa.Column('repeat_weekdays', sa.String(length=7), server_default='', nullable=False)
        )
        batch_op.add_column(
            sa.Column('repeat_on_last_day', sa.Boolean(), server_default=sa.false(), nullable=False)
        )
    create_triggers(triggers)


def drop_triggers():
    """Drop the triggers that SQLite would drop with the table, or that read it; return them."""
    if op.get_bind().dialect.name != 'sqlite':
        return []
    triggers = op.get_bind().execute(
        sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%mailings%'")
    ).all()
    for name, _sql in triggers:
        op.execute(f'DROP TRIGGER {name}')
    return [sql for _name, sql in triggers]


def create_triggers(triggers):
    for trigger in triggers:
        op.execute(trigger)


def downgrade():
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM mailings WHERE periodicity IN ('yearly', 'custom')")):
        raise RuntimeError('Change how often the yearly and custom mailings are sent first.')
    triggers = drop_triggers()
    with op.batch_alter_table('mailings', schema=None) as batch_op:
        for name in ('periodicity', 'repeat_unit', 'repeat_every'):
            batch_op.drop_constraint(op.f(f'ck_mailings_{name}'), type_='check')
        batch_op.create_check_constraint('periodicity', sa.column('periodicity').in_(PERIODICITIES))
        for name in ('repeat_unit', 'repeat_every', 'repeat_weekdays', 'repeat_on_last_day'):
            batch_op.drop_column(name)
    create_triggers(triggers)
