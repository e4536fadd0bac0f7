"""add notes about clients, and find the addresses that were merged into one

Revision ID: 0070
Revises: 0069
Create Date: 2026-11-30 08:00:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0070'
down_revision = '0069'
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
MOMENT = sa.DateTime(timezone=True)


def upgrade():
    op.create_table(
        'client_notes',
        sa.Column('id', BIG_ID, nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('client_id', BIG_ID, nullable=False),
        sa.Column('text', sa.String(length=1000), nullable=False),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('deleted_at', MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_client_notes_owner_id'), ondelete='CASCADE'
        ),
        sa.ForeignKeyConstraint(
            ['client_id'], ['clients.id'], name=op.f('fk_client_notes_client_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_client_notes')),
    )
    op.create_index(op.f('ix_client_notes_client_id'), 'client_notes', ['client_id'])
    op.create_index(op.f('ix_client_notes_owner_id_id'), 'client_notes', ['owner_id', 'id'])
    is_deleted = sa.text('deleted_at IS NOT NULL')
    op.create_index(
        'ix_client_notes_deleted',
        'client_notes',
        ['deleted_at'],
        postgresql_where=is_deleted,
        sqlite_where=is_deleted,
    )
    op.create_index(
        op.f('ix_merged_addresses_owner_id_kept_key'), 'merged_addresses', ['owner_id', 'kept_key']
    )


def downgrade():
    op.drop_index(op.f('ix_merged_addresses_owner_id_kept_key'), table_name='merged_addresses')
    op.drop_table('client_notes')
