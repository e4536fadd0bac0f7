"""add public archives of letters

Revision ID: 0040
Revises: 0039
Create Date: 2026-11-29 08:20:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0040'
down_revision = '0039'
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade():
    op.create_table(
        'archives',
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('slug', sa.String(length=120), nullable=False),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('updated_at', MOMENT, nullable=False),
        sa.ForeignKeyConstraint(['owner_id'], ['users.id'], name=op.f('fk_archives_owner_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('owner_id', name=op.f('pk_archives')),
        sa.UniqueConstraint('slug', name=op.f('uq_archives_slug')),
    )
    op.create_table(
        'archive_entries',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('mailing_id', sa.Integer(), nullable=False),
        sa.Column('run_id', sa.Integer(), nullable=False),
        sa.Column('slug', sa.String(length=120), nullable=False),
        sa.Column('title', sa.String(length=500), nullable=False),
        sa.Column('summary', sa.String(length=500), nullable=False),
        sa.Column('html', sa.Text(), nullable=False),
        sa.Column('is_indexed', sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column('sent_at', MOMENT, nullable=False),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('updated_at', MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_archive_entries_owner_id'), ondelete='CASCADE'
        ),
        sa.ForeignKeyConstraint(
            ['mailing_id'], ['mailings.id'], name=op.f('fk_archive_entries_mailing_id'), ondelete='CASCADE'
        ),
        sa.ForeignKeyConstraint(
            ['run_id'], ['runs.id'], name=op.f('fk_archive_entries_run_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_archive_entries')),
        sa.UniqueConstraint('owner_id', 'slug', name=op.f('uq_archive_entries_owner_id_slug')),
        sa.UniqueConstraint('run_id', name=op.f('uq_archive_entries_run_id')),
    )
    op.create_index(op.f('ix_archive_entries_mailing_id'), 'archive_entries', ['mailing_id'])
    op.create_index(op.f('ix_archive_entries_owner_id_sent_at'), 'archive_entries', ['owner_id', 'sent_at'])


def downgrade():
    op.drop_table('archive_entries')
    op.drop_table('archives')
