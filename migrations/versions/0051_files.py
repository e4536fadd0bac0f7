"""add files that are attached to letters or linked from them

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
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade():
    op.add_column('runs', sa.Column('file_bytes', sa.Integer(), server_default=sa.text('0'), nullable=False))
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
        refer_to('message_files', 'file_id', 'stored_files', 'RESTRICT'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_message_files')),
    )
    op.create_table(
        'run_files',
        sa.Column('run_id', sa.Integer(), nullable=False),
        sa.Column('variant', sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column('position', sa.SmallInteger(), autoincrement=False, nullable=False),
        *list_columns(),
        refer_to('run_files', 'run_id', 'runs', 'CASCADE'),
        refer_to('run_files', 'file_id', 'stored_files', 'RESTRICT'),
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
        refer_to('file_links', 'file_id', 'stored_files', 'RESTRICT'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_file_links')),
        sa.UniqueConstraint('token', name=op.f('uq_file_links_token')),
    )
    create_indexes()


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


def downgrade():
    for table in ('file_links', 'run_files', 'message_files', 'stored_files'):
        op.drop_table(table)
    op.drop_column('runs', 'file_bytes')
