"""add A/B tests, and keep older versions from sending all clients of a tested mailing the same letter

Revision ID: 0044
Revises: 0043
Create Date: 2026-11-29 11:00:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0044'
down_revision = '0043'
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
SMALL = sa.SmallInteger()
ZERO = sa.text('0')
RUN_STATES = ('planned', 'sending', 'routed', 'finished', 'cancelled', 'skipped')
FORMATS = ('markdown', 'html', 'text')
RUN_COLUMNS = {
    'test_ends_at': MOMENT,
    'test_hours': SMALL,
    'winner_by': sa.String(length=16),
    'winner': SMALL,
    'decision': sa.String(length=16),
    'decided_at': MOMENT,
}
OWN_VARIANTS = "test_ends_at IS NULL OR state NOT IN ('planned', 'sending', 'routed')"
IN_SAMPLE = sa.text("state = 'pending' AND variant IS NOT NULL")
HAS_VARIANT = sa.text('variant IS NOT NULL')
UNDECIDED = sa.text('test_ends_at IS NOT NULL AND winner IS NULL')
REFUSAL = 'this run has to be planned with the variants of its mailing'
# Only a version that knows no variants plans such a run.
LACKS_TEST = (
    "NEW.test_ends_at IS NULL AND NEW.state <> 'skipped' AND EXISTS ("
    'SELECT 1 FROM mailings WHERE mailings.id = NEW.mailing_id AND mailings.sample_percent > 0)'
)


def upgrade():
    op.add_column('mailings', sa.Column('sample_percent', SMALL, server_default=ZERO, nullable=False))
    op.add_column('mailings', sa.Column('test_hours', SMALL, server_default=sa.text('4'), nullable=False))
    # Without a check constraint, which SQLite adds only by copying the table.
    op.add_column('mailings', sa.Column('winner_by', sa.String(length=16), server_default='clicks', nullable=False))
    create_variants()
    op.add_column('deliveries', sa.Column('variant', SMALL, nullable=True))
    create_partial_index('ix_deliveries_sample', 'deliveries', ['run_id', 'state', 'id'], IN_SAMPLE)
    create_partial_index('ix_deliveries_variant', 'deliveries', ['run_id', 'variant', 'state'], HAS_VARIANT)
    triggers = read_triggers()
    with op.batch_alter_table('runs', schema=None) as batch_op:
        for name, type_ in RUN_COLUMNS.items():
            batch_op.add_column(sa.Column(name, type_, nullable=True))
        batch_op.drop_constraint(op.f('ck_runs_state'), type_='check')
        batch_op.create_check_constraint('state', sa.column('state').in_([*RUN_STATES, 'tested']))
        batch_op.create_check_constraint('own_variants', OWN_VARIANTS)
    for trigger in triggers:
        op.execute(trigger)
    create_partial_index('ix_runs_test', 'runs', ['test_ends_at'], UNDECIDED)
    create_trigger()


def create_variants():
    op.create_table(
        'mailing_variants',
        sa.Column('mailing_id', sa.Integer(), nullable=False),
        sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('subject', sa.String(length=500), server_default='', nullable=False),
        sa.Column('sender_name', sa.String(length=200), server_default='', nullable=False),
        sa.Column('message_id', sa.Integer(), nullable=True),
        sa.CheckConstraint('number BETWEEN 2 AND 4', name=op.f('ck_mailing_variants_number')),
        sa.ForeignKeyConstraint(
            ['mailing_id'], ['mailings.id'], name=op.f('fk_mailing_variants_mailing_id_mailings'), ondelete='CASCADE'
        ),
        sa.ForeignKeyConstraint(
            ['message_id'], ['messages.id'], name=op.f('fk_mailing_variants_message_id_messages'), ondelete='RESTRICT'
        ),
        sa.PrimaryKeyConstraint('mailing_id', 'number', name=op.f('pk_mailing_variants')),
    )
    op.create_index(op.f('ix_mailing_variants_message_id'), 'mailing_variants', ['message_id'])
    op.create_table(
        'run_variants',
        sa.Column('run_id', sa.Integer(), nullable=False),
        sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('subject', sa.String(length=500), nullable=False),
        sa.Column('sender_name', sa.String(length=200), nullable=False),
        sa.Column('format', sa.String(length=16), nullable=False),
        sa.Column('body', sa.Text(), nullable=False),
        sa.Column('language', sa.String(length=10), server_default='', nullable=False),
        *(sa.Column(name, sa.BigInteger(), server_default=ZERO, nullable=False) for name in ('planned', 'sent', 'clicked')),
        sa.CheckConstraint('number BETWEEN 1 AND 4', name=op.f('ck_run_variants_number')),
        sa.CheckConstraint(sa.column('format').in_(FORMATS), name=op.f('ck_run_variants_format')),
        sa.ForeignKeyConstraint(['run_id'], ['runs.id'], name=op.f('fk_run_variants_run_id_runs'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('run_id', 'number', name=op.f('pk_run_variants')),
    )


def create_partial_index(name, table, columns, condition):
    op.create_index(name, table, columns, postgresql_where=condition, sqlite_where=condition)


def read_triggers():
    # SQLite drops them with the table that batch_alter_table replaces.
    if op.get_bind().dialect.name != 'sqlite':
        return []
    triggers = sa.text("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'runs'")
    return op.get_bind().scalars(triggers).all()


def create_trigger():
    # Code that replaces the table on SQLite, as batch_alter_table does, must recreate it.
    if op.get_bind().dialect.name == 'sqlite':
        op.execute(
            f"CREATE TRIGGER runs_variants BEFORE INSERT ON runs WHEN {LACKS_TEST} "
            f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        )
        return
    op.execute(
        'CREATE FUNCTION refuse_run_without_variants() RETURNS trigger LANGUAGE plpgsql AS '
        f"$$ BEGIN IF {LACKS_TEST} THEN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation'; END IF; "
        'RETURN NEW; END $$'
    )
    op.execute(
        'CREATE TRIGGER runs_variants BEFORE INSERT ON runs '
        'FOR EACH ROW EXECUTE FUNCTION refuse_run_without_variants()'
    )


def downgrade():
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM runs WHERE state = 'tested'")):
        raise RuntimeError('Finish or cancel the mailings with A/B tests first.')
    if op.get_bind().dialect.name == 'sqlite':
        op.execute('DROP TRIGGER runs_variants')
    else:
        op.execute('DROP TRIGGER runs_variants ON runs')
        op.execute('DROP FUNCTION refuse_run_without_variants()')
    triggers = read_triggers()
    op.drop_index('ix_runs_test', table_name='runs')
    with op.batch_alter_table('runs', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_runs_own_variants'), type_='check')
        batch_op.drop_constraint(op.f('ck_runs_state'), type_='check')
        batch_op.create_check_constraint('state', sa.column('state').in_(RUN_STATES))
        for name in RUN_COLUMNS:
            batch_op.drop_column(name)
    for trigger in triggers:
        op.execute(trigger)
    op.drop_index('ix_deliveries_variant', table_name='deliveries')
    op.drop_index('ix_deliveries_sample', table_name='deliveries')
    op.drop_column('deliveries', 'variant')
    op.drop_table('run_variants')
    op.drop_table('mailing_variants')
    for name in ('winner_by', 'test_hours', 'sample_percent'):
        op.drop_column('mailings', name)
