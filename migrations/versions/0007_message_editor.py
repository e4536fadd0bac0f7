"""message drafts, their images, and the version of a message

Revision ID: 0007
Revises: 0006
Create Date: 2026-11-25 13:40:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table('messages', schema=None) as batch_op:
        batch_op.add_column(sa.Column('version', sa.Integer(), server_default='1', nullable=False))
    op.create_table('message_drafts',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('owner_id', sa.Integer(), nullable=False),
    sa.Column('message_id', sa.Integer(), nullable=True),
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('format', sa.Enum('markdown', 'html', 'text', name='format', native_enum=False, create_constraint=True, length=16), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('base_version', sa.Integer(), nullable=True),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('saved_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('discarded_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('was_message', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['message_id'], ['messages.id'], name=op.f('fk_message_drafts_message_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['owner_id'], ['users.id'], name=op.f('fk_message_drafts_owner_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_message_drafts'))
    )
    op.create_index(op.f('ix_message_drafts_owner_id_id'), 'message_drafts', ['owner_id', 'id'], unique=False)
    op.create_index('ix_message_drafts_message_id', 'message_drafts', ['message_id'], unique=True,
        sqlite_where=sa.text('discarded_at IS NULL'), postgresql_where=sa.text('discarded_at IS NULL'))
    op.create_table('message_pictures',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('owner_id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=64), nullable=False),
    sa.Column('size', sa.Integer(), nullable=False),
    sa.Column('uploaded_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('looked_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['owner_id'], ['users.id'], name=op.f('fk_message_pictures_owner_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_message_pictures')),
    sa.UniqueConstraint('name', name=op.f('uq_message_pictures_name'))
    )
    op.create_index(op.f('ix_message_pictures_owner_id'), 'message_pictures', ['owner_id'], unique=False)
    op.create_index(op.f('ix_message_pictures_looked_at'), 'message_pictures', ['looked_at'], unique=False)


def downgrade():
    op.drop_table('message_pictures')
    op.drop_table('message_drafts')
    with op.batch_alter_table('messages', schema=None) as batch_op:
        batch_op.drop_column('version')
