"""add actions on many clients that run in the background, and undo of merged clients

Revision ID: 0028
Revises: 0027
Create Date: 2026-11-30 12:00:00

"""
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = '0028'
down_revision = '0027'
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')
REMOVALS = ('clients', 'mailing', 'tag', 'segment', 'bulk')
MOMENT = sa.DateTime(timezone=True)
STATES = ('pending', 'running', 'finished', 'stopped', 'failed', 'undoing', 'undone')
IS_UNFINISHED = sa.text("state IN ('pending', 'running', 'undoing')")


def reference(table, column, target, ondelete):
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f'fk_{table}_{column}'), ondelete=ondelete)


def upgrade():
    op.create_table(
        'bulk_jobs',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('action', sa.String(length=32), nullable=False),
        sa.Column('tag_id', sa.Integer(), nullable=True),
        sa.Column('tag', sa.String(length=100), nullable=False),
        sa.Column('state', sa.String(length=16), nullable=False),
        sa.Column('done', sa.Integer(), nullable=False),
        sa.Column('total', sa.Integer(), nullable=False),
        sa.Column('changed', sa.Integer(), nullable=False),
        sa.Column('error', sa.String(length=64), nullable=False),
        sa.Column('ended_at', MOMENT, nullable=True),
        sa.Column('lease_until', MOMENT, nullable=True),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('updated_at', MOMENT, nullable=False),
        sa.CheckConstraint(sa.column('state').in_(STATES), name=op.f('ck_bulk_jobs_state')),
        reference('bulk_jobs', 'owner_id', 'users.id', 'CASCADE'),
        reference('bulk_jobs', 'tag_id', 'tags.id', 'SET NULL'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_bulk_jobs')),
    )
    for column in ('owner_id', 'tag_id'):
        op.create_index(op.f(f'ix_bulk_jobs_{column}'), 'bulk_jobs', [column])
    op.create_index(
        'uq_bulk_jobs_unfinished', 'bulk_jobs', ['owner_id'], unique=True,
        postgresql_where=IS_UNFINISHED, sqlite_where=IS_UNFINISHED,
    )
    op.create_table(
        'bulk_chunks',
        sa.Column('job_id', sa.Integer(), nullable=False),
        sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('is_done', sa.Boolean(), nullable=False),
        sa.Column('content', JSON, nullable=False),
        reference('bulk_chunks', 'job_id', 'bulk_jobs.id', 'CASCADE'),
        sa.PrimaryKeyConstraint('job_id', 'number', name=op.f('pk_bulk_chunks')),
    )
    op.add_column('audit_entries', sa.Column('count', sa.Integer(), nullable=True))
    replace_kinds([*REMOVALS, 'merge'])


def replace_kinds(kinds):
    with op.batch_alter_table('removals', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_removals_kind'), type_='check')
        batch_op.create_check_constraint('kind', sa.column('kind').in_(kinds))


def downgrade():
    op.execute("DELETE FROM removals WHERE kind = 'merge'")
    replace_kinds(REMOVALS)
    op.drop_column('audit_entries', 'count')
    op.drop_table('bulk_chunks')
    op.drop_table('bulk_jobs')
