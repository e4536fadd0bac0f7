"""add topics, the choices of people about them, and their reasons for unsubscribing

Revision ID: 0039
Revises: 0038
Create Date: 2026-11-29 08:10:00

"""
from contextlib import contextmanager

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = '0039'
down_revision = '0038'
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')
REFUSAL = 'this run has to be planned with the topic of its mailing'
# Only a version that knows no topics plans such a run: it would also send to people who left the topic.
LACKS_TOPIC = (
    'NEW.topic_id IS NULL AND EXISTS ('
    'SELECT 1 FROM mailings WHERE mailings.id = NEW.mailing_id AND mailings.topic_id IS NOT NULL)'
)


def upgrade():
    op.create_table(
        'topics',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('name', sa.String(length=100), nullable=False),
        sa.Column('name_key', sa.String(length=200), nullable=False),
        sa.Column('description', sa.String(length=500), server_default='', nullable=False),
        sa.Column('is_public', sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column('is_opt_in', sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column('position', sa.Integer(), server_default='0', nullable=False),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('updated_at', MOMENT, nullable=False),
        sa.ForeignKeyConstraint(['owner_id'], ['users.id'], name=op.f('fk_topics_owner_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_topics')),
        sa.UniqueConstraint('owner_id', 'name_key', name=op.f('uq_topics_owner_id_name_key')),
        sqlite_autoincrement=True,
    )
    op.create_table(
        'topic_choices',
        sa.Column('topic_id', sa.Integer(), nullable=False),
        sa.Column('email_key', sa.String(length=320), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('is_joined', sa.Boolean(), nullable=False),
        sa.Column('is_by_owner', sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column('changed_at', MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ['topic_id'], ['topics.id'], name=op.f('fk_topic_choices_topic_id'), ondelete='CASCADE'
        ),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_topic_choices_owner_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('topic_id', 'email_key', name=op.f('pk_topic_choices')),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f('ix_topic_choices_owner_id_email_key'), 'topic_choices', ['owner_id', 'email_key'])
    op.create_table(
        'form_topics',
        sa.Column('form_id', sa.Integer(), nullable=False),
        sa.Column('topic_id', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['form_id'], ['forms.id'], name=op.f('fk_form_topics_form_id'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['topic_id'], ['topics.id'], name=op.f('fk_form_topics_topic_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('form_id', 'topic_id', name=op.f('pk_form_topics')),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f('ix_form_topics_topic_id'), 'form_topics', ['topic_id'])
    op.create_table(
        'opt_outs',
        sa.Column('id', BIG_ID, nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('email_key', sa.String(length=320), nullable=False),
        sa.Column('topic_id', sa.Integer(), nullable=True),
        sa.Column('at', MOMENT, nullable=False),
        sa.Column('before', JSON, nullable=False),
        sa.Column('undone_at', MOMENT, nullable=True),
        sa.Column('reason', sa.String(length=32), server_default='', nullable=False),
        sa.Column('comment', sa.String(length=500), server_default='', nullable=False),
        sa.ForeignKeyConstraint(['owner_id'], ['users.id'], name=op.f('fk_opt_outs_owner_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_opt_outs')),
    )
    op.create_index(op.f('ix_opt_outs_owner_id_email_key'), 'opt_outs', ['owner_id', 'email_key'])
    op.create_index(op.f('ix_opt_outs_owner_id_at'), 'opt_outs', ['owner_id', 'at'])
    with without_trigger(), op.batch_alter_table('mailings', schema=None) as batch_op:
        batch_op.add_column(sa.Column('topic_id', sa.Integer(), nullable=True))
        batch_op.create_foreign_key(
            op.f('fk_mailings_topic_id'), 'topics', ['topic_id'], ['id'], ondelete='RESTRICT'
        )
        batch_op.create_index(op.f('ix_mailings_topic_id'), ['topic_id'])
    op.add_column('runs', sa.Column('topic_id', sa.Integer(), nullable=True))
    create_trigger()


@contextmanager
def without_trigger():
    # SQLite cannot replace `mailings` while the trigger of 0035 refers to it.
    bind, trigger = op.get_bind(), None
    if bind.dialect.name == 'sqlite':
        trigger = bind.scalar(sa.text("SELECT sql FROM sqlite_master WHERE name = 'runs_own_server'"))
        op.execute('DROP TRIGGER runs_own_server')
    yield
    if trigger:
        op.execute(trigger)


def create_trigger():
    # Code that replaces the table on SQLite, as batch_alter_table does, must recreate it.
    if op.get_bind().dialect.name == 'sqlite':
        op.execute(
            f"CREATE TRIGGER runs_topic BEFORE INSERT ON runs WHEN {LACKS_TOPIC} "
            f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        )
        return
    op.execute(
        'CREATE FUNCTION refuse_run_without_topic() RETURNS trigger LANGUAGE plpgsql AS '
        f"$$ BEGIN IF {LACKS_TOPIC} THEN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation'; END IF; "
        'RETURN NEW; END $$'
    )
    op.execute(
        'CREATE TRIGGER runs_topic BEFORE INSERT ON runs FOR EACH ROW EXECUTE FUNCTION refuse_run_without_topic()'
    )


def downgrade():
    if op.get_bind().scalar(sa.text('SELECT count(*) FROM mailings WHERE topic_id IS NOT NULL')):
        raise RuntimeError('Mailings with a topic would also be sent to people who left it. Remove their topics first.')
    if op.get_bind().dialect.name == 'sqlite':
        op.execute('DROP TRIGGER runs_topic')
    else:
        op.execute('DROP TRIGGER runs_topic ON runs')
        op.execute('DROP FUNCTION refuse_run_without_topic()')
    op.drop_column('runs', 'topic_id')
    op.drop_index(op.f('ix_mailings_topic_id'), table_name='mailings')
    with without_trigger(), op.batch_alter_table('mailings', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('fk_mailings_topic_id'), type_='foreignkey')
        batch_op.drop_column('topic_id')
    op.drop_table('opt_outs')
    op.drop_table('form_topics')
    op.drop_table('topic_choices')
    op.drop_table('topics')
