"""add layouts of messages

Revision ID: 0054
Revises: 0053
Create Date: 2026-11-29 18:00:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0054'
down_revision = '0053'
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
USERS = ('messages', 'message_drafts', 'message_templates')


def upgrade():
    op.create_table(
        'layouts',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('name', sa.String(length=100), nullable=False),
        sa.Column('format', sa.String(length=16), nullable=False),
        sa.Column('body', sa.Text(), nullable=False),
        sa.Column('is_default', sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('updated_at', MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_layouts_owner_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_layouts')),
    )
    op.create_index(op.f('ix_layouts_owner_id_id'), 'layouts', ['owner_id', 'id'])
    for table in USERS:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column('layout_id', sa.Integer(), nullable=True))
            batch_op.create_foreign_key(
                batch_op.f(f'fk_{table}_layout_id'), 'layouts', ['layout_id'], ['id'], ondelete='SET NULL'
            )


def downgrade():
    for table in USERS:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_constraint(batch_op.f(f'fk_{table}_layout_id'), type_='foreignkey')
            batch_op.drop_column('layout_id')
    op.drop_table('layouts')
