"""add files of transactional letters, and keep older versions from sending them without the files

Revision ID: 0053
Revises: 0052
Create Date: 2026-11-29 18:40:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0053'
down_revision = '0052'
branch_labels = None
depends_on = None

RUN_STATES = (
    *('planned', 'sending', 'routed', 'tested', 'attached', 'transactional', 'caught', 'caught-letters'),
    *('finished', 'cancelled', 'skipped'),
)
OWN_FILES = "file_bytes = 0 OR state NOT IN ('planned', 'sending', 'routed', 'tested')"
OWN_FILES_OF_LETTERS = OWN_FILES.replace(')', ", 'transactional')")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade():
    op.create_table(
        'letter_files',
        sa.Column('content_id', BIG_ID, autoincrement=False, nullable=False),
        sa.Column('position', sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column('file_id', BIG_ID, nullable=False),
        sa.Column('name', sa.String(length=200), nullable=False),
        sa.Column('content_type', sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(
            ['content_id'],
            ['letter_contents.id'],
            name=op.f('fk_letter_files_content_id_letter_contents'),
            ondelete='CASCADE',
        ),
        sa.ForeignKeyConstraint(
            ['file_id'], ['stored_files.id'], name=op.f('fk_letter_files_file_id_stored_files')
        ),
        sa.PrimaryKeyConstraint('content_id', 'position', name=op.f('pk_letter_files')),
    )
    op.create_index(op.f('ix_letter_files_file_id'), 'letter_files', ['file_id'])
    replace_constraints([*RUN_STATES, 'attached-letters'], OWN_FILES_OF_LETTERS)


def replace_constraints(states, own_files):
    triggers = drop_triggers()
    with op.batch_alter_table('runs', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_runs_state'), type_='check')
        batch_op.drop_constraint(op.f('ck_runs_own_files'), type_='check')
        batch_op.create_check_constraint('state', sa.column('state').in_(states))
        batch_op.create_check_constraint('own_files', own_files)
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
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM runs WHERE state = 'attached-letters'")):
        raise RuntimeError('Wait until the transactional letters with files are sent.')
    replace_constraints(RUN_STATES, OWN_FILES)
    op.drop_table('letter_files')
