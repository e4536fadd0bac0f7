"""send mailings at each client's local time

Older versions would send all letters of such a mailing at once. A trigger keeps them from planning its runs,
and they do not know the state of a run that a newer version has planned.

Revision ID: 0059
Revises: 0058
Create Date: 2026-11-29 19:40:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0059'
down_revision = '0058'
branch_labels = None
depends_on = None

RUN_STATES = (
    *('planned', 'sending', 'routed', 'tested', 'attached', 'transactional', 'attached-letters'),
    *('caught', 'caught-letters', 'sequence'),
    *('finished', 'cancelled', 'skipped'),
)
OWN_TIMES = "NOT is_local_time OR state NOT IN ('planned', 'sending', 'routed', 'tested', 'attached')"
MOMENT = sa.DateTime(timezone=True)
WAITS = sa.text("state = 'pending' AND not_before IS NOT NULL")
HAS_ZONE = sa.text("timezone <> ''")
REFUSAL = 'this run has to be planned at local time'
IS_LOCAL = (
    "NEW.state IN ('planned', 'routed', 'tested', 'attached') AND NOT NEW.is_local_time AND EXISTS ("
    'SELECT 1 FROM mailings WHERE mailings.id = NEW.mailing_id AND mailings.is_local_time)'
)


def upgrade():
    op.add_column('clients', sa.Column('timezone', sa.String(length=64), server_default='', nullable=False))
    op.create_index(
        'ix_clients_timezone', 'clients', ['owner_id', 'timezone'], postgresql_where=HAS_ZONE, sqlite_where=HAS_ZONE
    )
    op.add_column('mailings', sa.Column('is_local_time', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column('mailings', sa.Column('on_passed', sa.String(length=16), server_default='send', nullable=False))
    op.add_column('mailings', sa.Column('zones_checked_until', MOMENT, nullable=True))
    op.add_column('deliveries', sa.Column('not_before', MOMENT, nullable=True))
    op.create_index(
        'ix_deliveries_local', 'deliveries', ['run_id', 'not_before'], postgresql_where=WAITS, sqlite_where=WAITS
    )
    op.add_column('runs', sa.Column('is_local_time', sa.Boolean(), server_default=sa.false(), nullable=False))
    change_runs([*RUN_STATES, 'local'], OWN_TIMES)
    create_trigger()


def change_runs(states, own_times):
    triggers = drop_triggers()
    with op.batch_alter_table('runs', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_runs_state'), type_='check')
        batch_op.create_check_constraint('state', sa.column('state').in_(states))
        if own_times:
            batch_op.create_check_constraint('own_times', own_times)
        else:
            batch_op.drop_constraint(op.f('ck_runs_own_times'), type_='check')
            batch_op.drop_column('is_local_time')
    for trigger in triggers:
        op.execute(trigger)


def drop_triggers():
    """Drop the triggers that SQLite would drop with the table that batch_alter_table replaces; return them."""
    if op.get_bind().dialect.name != 'sqlite':
        return []
    triggers = op.get_bind().execute(
        sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'runs'")
    ).all()
    for name, _sql in triggers:
        op.execute(f'DROP TRIGGER {name}')
    return [sql for _name, sql in triggers]


def create_trigger():
    if op.get_bind().dialect.name == 'sqlite':
        op.execute(
            f'CREATE TRIGGER runs_own_times BEFORE INSERT ON runs WHEN {IS_LOCAL} '
            f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        )
        return
    op.execute(
        'CREATE FUNCTION refuse_run_without_times() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN '
        f"IF {IS_LOCAL} THEN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation'; END IF; "
        'RETURN NEW; END $$'
    )
    op.execute(
        'CREATE TRIGGER runs_own_times BEFORE INSERT ON runs FOR EACH ROW EXECUTE FUNCTION refuse_run_without_times()'
    )


def drop_trigger():
    if op.get_bind().dialect.name == 'sqlite':
        op.execute('DROP TRIGGER runs_own_times')
        return
    op.execute('DROP TRIGGER runs_own_times ON runs')
    op.execute('DROP FUNCTION refuse_run_without_times()')


def downgrade():
    in_use = sa.text(
        "SELECT (SELECT count(*) FROM runs WHERE state = 'local') "
        "+ (SELECT count(*) FROM mailings WHERE is_local_time AND state IN ('scheduled', 'running', 'paused'))"
    )
    if op.get_bind().scalar(in_use):
        raise RuntimeError('Finish or cancel the mailings at local time first.')
    drop_trigger()
    change_runs(RUN_STATES, None)
    op.drop_index('ix_deliveries_local', table_name='deliveries')
    op.drop_column('deliveries', 'not_before')
    for name in ('is_local_time', 'on_passed', 'zones_checked_until'):
        op.drop_column('mailings', name)
    op.drop_index('ix_clients_timezone', table_name='clients')
    op.drop_column('clients', 'timezone')
