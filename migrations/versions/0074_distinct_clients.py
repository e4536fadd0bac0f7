"""store which clients look like duplicates, but are different people

Revision ID: 0074
Revises: 0073
Create Date: 2026-11-30 15:00:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0074'
down_revision = '0073'
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade():
    op.create_table(
        'distinct_groups',
        sa.Column('id', BIG_ID, nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_distinct_groups_owner_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_distinct_groups')),
        # A deletion that is undone refers to groups by their IDs.
        sqlite_autoincrement=True,
    )
    op.create_index(op.f('ix_distinct_groups_owner_id_id'), 'distinct_groups', ['owner_id', 'id'])
    op.create_table(
        'distinct_clients',
        sa.Column('group_id', BIG_ID, nullable=False),
        sa.Column('client_id', BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ['group_id'],
            ['distinct_groups.id'],
            name=op.f('fk_distinct_clients_group_id'),
            ondelete='CASCADE',
        ),
        sa.ForeignKeyConstraint(
            ['client_id'], ['clients.id'], name=op.f('fk_distinct_clients_client_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('group_id', 'client_id', name=op.f('pk_distinct_clients')),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f('ix_distinct_clients_client_id'), 'distinct_clients', ['client_id'])


def downgrade():
    op.drop_table('distinct_clients')
    op.drop_table('distinct_groups')
