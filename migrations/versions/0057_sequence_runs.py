"""add the state of runs that get more letters of a sequence during their day

Older versions would finish such a run as soon as its letters are sent.

Revision ID: 0057
Revises: 0056
Create Date: 2026-11-29 18:35:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0057'
down_revision = '0056'
branch_labels = None
depends_on = None

RUN_STATES = (
    *('planned', 'sending', 'routed', 'tested', 'attached', 'transactional', 'attached-letters'),
    *('caught', 'caught-letters'),
    *('finished', 'cancelled', 'skipped'),
)


def upgrade():
    allow_states([*RUN_STATES, 'sequence'])


def allow_states(states):
    triggers = drop_triggers()
    with op.batch_alter_table('runs', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_runs_state'), type_='check')
        batch_op.create_check_constraint('state', sa.column('state').in_(states))
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


def downgrade():
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM runs WHERE state = 'sequence'")):
        raise RuntimeError('Archive the sequences first.')
    allow_states(RUN_STATES)
