"""add the sources of composed messages, and saved blocks

Revision ID: 0049
Revises: 0048
Create Date: 2026-11-29 15:00:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0049'
down_revision = '0048'
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
# The number of the save that a source belongs to, by table.
TABLES = {'messages': 'source_version', 'message_drafts': 'source_revision'}


def upgrade():
    for table, number in TABLES.items():
        op.add_column(table, sa.Column('source_format', sa.String(length=16), server_default='', nullable=False))
        op.add_column(table, sa.Column('source', sa.Text(), server_default='', nullable=False))
        op.add_column(table, sa.Column('preheader', sa.String(length=250), server_default='', nullable=False))
        op.add_column(table, sa.Column(number, sa.Integer(), nullable=True))
    op.create_table(
        'saved_blocks',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('name', sa.String(length=100), nullable=False),
        sa.Column('block', sa.Text(), nullable=False),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('updated_at', MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_saved_blocks_owner_id_users'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_saved_blocks')),
    )
    op.create_index(op.f('ix_saved_blocks_owner_id_id'), 'saved_blocks', ['owner_id', 'id'])


def downgrade():
    # The bodies of composed messages are complete HTML, so only their designs are lost.
    op.drop_table('saved_blocks')
    for table, number in TABLES.items():
        with op.batch_alter_table(table, schema=None) as batch_op:
            for name in ('source_format', 'source', 'preheader', number):
                batch_op.drop_column(name)
