"""add mail servers of owners, and keep older versions from sending their runs over another server

Revision ID: 0035
Revises: 0034
Create Date: 2026-11-29 00:40:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0035'
down_revision = '0034'
branch_labels = None
depends_on = None

NO_REUSE = {'sqlite_autoincrement': True}  # of the IDs of deleted rows; batch_alter_table does not find this itself
MOMENT = sa.DateTime(timezone=True)
RUN_STATES = ('planned', 'sending', 'finished', 'cancelled', 'skipped')
REFUSAL = 'this run has to be planned with the mail server of its sender'
# Only a version that knows no servers plans such a run.
HAS_SERVER = (
    "NEW.state = 'planned' AND NEW.server_id IS NULL AND EXISTS ("
    'SELECT 1 FROM mailings JOIN senders ON senders.id = mailings.sender_id '
    'WHERE mailings.id = NEW.mailing_id AND senders.server_id IS NOT NULL)'
)


def upgrade():
    create_servers()
    with op.batch_alter_table('senders', table_kwargs=NO_REUSE) as batch_op:
        batch_op.add_column(sa.Column('server_id', sa.Integer(), nullable=True))
        batch_op.create_foreign_key(op.f('fk_senders_server_id'), 'smtp_servers', ['server_id'], ['id'])
        batch_op.create_index(op.f('ix_senders_server_id'), ['server_id'])
    with op.batch_alter_table('runs', schema=None) as batch_op:
        batch_op.add_column(sa.Column('server_id', sa.Integer(), nullable=True))
        batch_op.drop_constraint(op.f('ck_runs_state'), type_='check')
        batch_op.create_check_constraint('state', sa.column('state').in_([*RUN_STATES, 'routed']))
        batch_op.create_check_constraint('own_server', "server_id IS NULL OR state NOT IN ('planned', 'sending')")
    create_trigger()


def create_servers():
    op.create_table(
        'smtp_servers',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=True),
        sa.Column('name', sa.String(length=100), nullable=False),
        sa.Column('host', sa.String(length=253), nullable=False),
        sa.Column('port', sa.Integer(), nullable=False),
        sa.Column('security', sa.String(length=16), nullable=False),
        sa.Column('username', sa.String(length=320), server_default='', nullable=False),
        sa.Column('encrypted_password', sa.Text(), server_default='', nullable=False),
        sa.Column('rate_per_minute', sa.Integer(), nullable=True),
        sa.Column('sessions', sa.Integer(), server_default='2', nullable=False),
        sa.Column('test_requested_at', MOMENT, nullable=True),
        sa.Column('tested_at', MOMENT, nullable=True),
        sa.Column('has_passed', sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column('test_answer', sa.String(length=500), server_default='', nullable=False),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('updated_at', MOMENT, nullable=False),
        sa.CheckConstraint("owner_id IS NULL OR security != 'none'", name=op.f('ck_smtp_servers_encrypted')),
        sa.CheckConstraint(
            sa.column('security').in_(('starttls', 'tls', 'none')), name=op.f('ck_smtp_servers_security')
        ),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_smtp_servers_owner_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_smtp_servers')),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f('ix_smtp_servers_owner_id'), 'smtp_servers', ['owner_id'])
    op.create_index(
        'ix_smtp_servers_to_test',
        'smtp_servers',
        ['test_requested_at'],
        postgresql_where=sa.text('test_requested_at IS NOT NULL'),
        sqlite_where=sa.text('test_requested_at IS NOT NULL'),
    )


def create_trigger():
    # Code that replaces the table on SQLite, as batch_alter_table does, must recreate it.
    if op.get_bind().dialect.name == 'sqlite':
        op.execute(
            f"CREATE TRIGGER runs_own_server BEFORE INSERT ON runs WHEN {HAS_SERVER} "
            f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        )
        return
    op.execute(
        'CREATE FUNCTION refuse_run_without_server() RETURNS trigger LANGUAGE plpgsql AS '
        f"$$ BEGIN IF {HAS_SERVER} THEN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation'; END IF; "
        'RETURN NEW; END $$'
    )
    op.execute(
        'CREATE TRIGGER runs_own_server BEFORE INSERT ON runs '
        'FOR EACH ROW EXECUTE FUNCTION refuse_run_without_server()'
    )


def downgrade():
    is_open = op.get_bind().scalar(sa.text("SELECT count(*) FROM runs WHERE state = 'routed'"))
    if is_open:
        raise RuntimeError('Finish or cancel the mailings that use mail servers of their owners first.')
    if op.get_bind().dialect.name == 'sqlite':
        op.execute('DROP TRIGGER runs_own_server')
    else:
        op.execute('DROP TRIGGER runs_own_server ON runs')
        op.execute('DROP FUNCTION refuse_run_without_server()')
    with op.batch_alter_table('runs', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_runs_own_server'), type_='check')
        batch_op.drop_constraint(op.f('ck_runs_state'), type_='check')
        batch_op.create_check_constraint('state', sa.column('state').in_(RUN_STATES))
        batch_op.drop_column('server_id')
    with op.batch_alter_table('senders', table_kwargs=NO_REUSE) as batch_op:
        batch_op.drop_index(op.f('ix_senders_server_id'))
        batch_op.drop_constraint(op.f('fk_senders_server_id'), type_='foreignkey')
        batch_op.drop_column('server_id')
    op.drop_table('smtp_servers')
