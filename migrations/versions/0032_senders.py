"""add senders: the addresses from which an owner sends mailings

Revision ID: 0032
Revises: 0031
Create Date: 2026-11-28 22:35:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0032'
down_revision = '0031'
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
LETTERS = "template = 'confirm-sender'"


def upgrade():
    op.create_table(
        'senders',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('name', sa.String(length=200), server_default='', nullable=False),
        sa.Column('address', sa.String(length=320), nullable=False),
        sa.Column('address_key', sa.String(length=320), nullable=False),
        sa.Column('reply_to', sa.String(length=320), server_default='', nullable=False),
        sa.Column('is_default', sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column('confirmed_at', MOMENT, nullable=True),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('updated_at', MOMENT, nullable=False),
        sa.ForeignKeyConstraint(['owner_id'], ['users.id'], name=op.f('fk_senders_owner_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_senders')),
        sa.UniqueConstraint('owner_id', 'address_key', name=op.f('uq_senders_owner_id_address_key')),
        sqlite_autoincrement=True,
    )
    op.create_index(
        'ix_senders_default',
        'senders',
        ['owner_id'],
        unique=True,
        postgresql_where=sa.text('is_default'),
        sqlite_where=sa.text('is_default'),
    )
    with op.batch_alter_table('mailings', schema=None) as batch_op:
        batch_op.add_column(sa.Column('sender_id', sa.Integer(), nullable=True))
        batch_op.create_foreign_key(
            op.f('fk_mailings_sender_id'), 'senders', ['sender_id'], ['id'], ondelete='RESTRICT'
        )
        batch_op.create_index(op.f('ix_mailings_sender_id'), ['sender_id'])
    op.add_column('runs', sa.Column('sender_address', sa.String(length=320), server_default='', nullable=False))
    op.create_index(
        'ix_outbox_confirm_sender',
        'outbox',
        ['to', 'created_at'],
        postgresql_where=sa.text(LETTERS),
        sqlite_where=sa.text(LETTERS),
    )


def downgrade():
    op.drop_index('ix_outbox_confirm_sender', table_name='outbox')
    op.drop_column('runs', 'sender_address')
    op.drop_index(op.f('ix_mailings_sender_id'), table_name='mailings')
    with op.batch_alter_table('mailings', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('fk_mailings_sender_id'), type_='foreignkey')
        batch_op.drop_column('sender_id')
    op.drop_table('senders')
