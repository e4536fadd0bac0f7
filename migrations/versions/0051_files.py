"""add files, and keep older versions from sending letters without their files

Revision ID: 0051
Revises: 0050
Create Date: 2026-11-29 16:00:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0051'
down_revision = '0050'
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
RUN_STATES = (
    *('planned', 'sending', 'routed', 'tested', 'transactional', 'caught', 'caught-letters'),
    *('finished', 'cancelled', 'skipped'),
)
OWN_FILES = "file_bytes = 0 OR state NOT IN ('planned', 'sending', 'routed', 'tested')"
REFUSAL = 'this run has to be planned with the files of its message'
# Only a version that knows no files plans such a run.
LACKS_FILES = (
    "NEW.file_bytes = 0 AND NEW.state <> 'skipped' AND EXISTS ("
    'SELECT 1 FROM mailings JOIN message_files ON message_files.message_id = mailings.message_id '
    'WHERE mailings.id = NEW.mailing_id)'
)
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade():
    triggers = drop_triggers()
    with op.batch_alter_table('runs', schema=None) as batch_op:
        batch_op.add_column(sa.Column('file_bytes', sa.Integer(), server_default=sa.text('0'), nullable=False))
        batch_op.drop_constraint(op.f('ck_runs_state'), type_='check')
        batch_op.create_check_constraint('state', sa.column('state').in_([*RUN_STATES, 'attached']))
        batch_op.create_check_constraint('own_files', OWN_FILES)
    for trigger in triggers:
        op.execute(trigger)
    op.create_table(
        'stored_files',
        sa.Column('id', BIG_ID, nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('digest', sa.String(length=64), nullable=False),
        sa.Column('size', sa.Integer(), nullable=False),
        sa.Column('content', sa.LargeBinary(), nullable=False),
        sa.Column('uploaded_at', MOMENT, nullable=False),
        refer_to('stored_files', 'owner_id', 'users', 'CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_stored_files')),
        sa.UniqueConstraint('owner_id', 'digest', name=op.f('uq_stored_files_owner_id_digest')),
    )
    if op.get_bind().dialect.name == 'postgresql':
        # Most files are compressed already; trying to compress them again takes time.
        op.execute('ALTER TABLE stored_files ALTER COLUMN content SET STORAGE EXTERNAL')
    op.create_table(
        'message_files',
        sa.Column('id', BIG_ID, nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('message_id', sa.Integer(), nullable=True),
        sa.Column('draft_id', sa.Integer(), nullable=True),
        *list_columns(),
        refer_to('message_files', 'owner_id', 'users', 'CASCADE'),
        refer_to('message_files', 'message_id', 'messages', 'CASCADE'),
        refer_to('message_files', 'draft_id', 'message_drafts', 'CASCADE'),
        refer_to('message_files', 'file_id', 'stored_files', None),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_message_files')),
    )
    op.create_table(
        'run_files',
        sa.Column('run_id', sa.Integer(), nullable=False),
        sa.Column('variant', sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column('position', sa.SmallInteger(), autoincrement=False, nullable=False),
        *list_columns(),
        refer_to('run_files', 'run_id', 'runs', 'CASCADE'),
        refer_to('run_files', 'file_id', 'stored_files', None),
        sa.PrimaryKeyConstraint('run_id', 'variant', 'position', name=op.f('pk_run_files')),
    )
    op.create_table(
        'file_links',
        sa.Column('id', BIG_ID, nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('token', sa.String(length=32), nullable=False),
        *list_columns(),
        *(sa.Column(name, MOMENT, nullable=False) for name in ('created_at', 'seen_at', 'looked_at')),
        refer_to('file_links', 'owner_id', 'users', 'CASCADE'),
        refer_to('file_links', 'file_id', 'stored_files', None),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_file_links')),
        sa.UniqueConstraint('token', name=op.f('uq_file_links_token')),
    )
    create_indexes()
    create_trigger()


def list_columns():
    return (
        sa.Column('file_id', BIG_ID, nullable=False),
        sa.Column('name', sa.String(length=200), nullable=False),
        sa.Column('content_type', sa.String(length=100), nullable=False),
    )


def refer_to(table, column, target, ondelete):
    name = op.f(f'fk_{table}_{column}_{target}')
    return sa.ForeignKeyConstraint([column], [f'{target}.id'], name=name, ondelete=ondelete)


def create_indexes():
    indexes = (
        ('stored_files', ['uploaded_at']),
        ('message_files', ['owner_id']),
        ('message_files', ['message_id']),
        ('message_files', ['draft_id']),
        ('message_files', ['file_id']),
        ('run_files', ['file_id']),
        ('file_links', ['file_id']),
        ('file_links', ['looked_at']),
        ('file_links', ['owner_id', 'id']),
    )
    for table, columns in indexes:
        op.create_index(op.f(f'ix_{table}_{"_".join(columns)}'), table, columns)


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
    # Code that replaces the table on SQLite, as batch_alter_table does, must recreate it.
    if op.get_bind().dialect.name == 'sqlite':
        op.execute(
            f"CREATE TRIGGER runs_files BEFORE INSERT ON runs WHEN {LACKS_FILES} "
            f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        )
        return
    op.execute(
        'CREATE FUNCTION refuse_run_without_files() RETURNS trigger LANGUAGE plpgsql AS '
        f"$$ BEGIN IF {LACKS_FILES} THEN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation'; END IF; "
        'RETURN NEW; END $$'
    )
    op.execute(
        'CREATE TRIGGER runs_files BEFORE INSERT ON runs FOR EACH ROW EXECUTE FUNCTION refuse_run_without_files()'
    )


def downgrade():
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM runs WHERE state = 'attached'")):
        raise RuntimeError('Finish or cancel the mailings with attached files first.')
    if op.get_bind().dialect.name == 'sqlite':
        op.execute('DROP TRIGGER runs_files')
    else:
        op.execute('DROP TRIGGER runs_files ON runs')
        op.execute('DROP FUNCTION refuse_run_without_files()')
    for table in ('file_links', 'run_files', 'message_files', 'stored_files'):
        op.drop_table(table)
    triggers = drop_triggers()
    with op.batch_alter_table('runs', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_runs_own_files'), type_='check')
        batch_op.drop_constraint(op.f('ck_runs_state'), type_='check')
        batch_op.create_check_constraint('state', sa.column('state').in_(RUN_STATES))
        batch_op.drop_column('file_bytes')
    for trigger in triggers:
        op.execute(trigger)
