"""drop the index of leases

Each letter added an entry, and left it behind. Sweeps now find leases by run. An older version also works
without the index, but reads more.

Revision ID: 0066
Revises: 0065
Create Date: 2026-11-29 23:30:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0066'
down_revision = '0065'
branch_labels = None
depends_on = None

INDEX = 'ix_deliveries_lease'


def upgrade():
    if op.get_bind().dialect.name == 'postgresql':
        with op.get_context().autocommit_block():
            op.drop_index(INDEX, table_name='deliveries', if_exists=True, postgresql_concurrently=True)
        return
    op.drop_index(INDEX, table_name='deliveries')


def downgrade():
    is_sending = sa.text("state = 'sending'")
    op.create_index(
        INDEX, 'deliveries', ['lease_until'], postgresql_where=is_sending, sqlite_where=is_sending
    )
