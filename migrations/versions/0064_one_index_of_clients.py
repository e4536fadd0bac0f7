"""replace two indexes of deliveries by one, and vacuum large tables in time

The unique key of run and client, and the index of clients, contained the same columns. Each update of a delivery
added an entry to both. PostgreSQL would vacuum a table with millions of rows only after a fifth of them have
changed. There the indexes are replaced without blocking writers, so this migration commits the ones before it.

Revision ID: 0064
Revises: 0063
Create Date: 2026-11-29 22:30:00

"""
from alembic import op

# revision identifiers, used by Alembic.
revision = '0064'
down_revision = '0063'
branch_labels = None
depends_on = None

BOTH, KEY, CLIENTS = 'ix_deliveries_client_id_run_id', 'uq_deliveries_run_id_client_id', 'ix_deliveries_client_id'
SETTINGS = {
    # Every letter leaves two dead rows.
    'deliveries': {'autovacuum_vacuum_scale_factor': 0, 'autovacuum_vacuum_threshold': 200000},
    # Rows are only added; a vacuum lets queries read the index alone.
    'attempts': {'autovacuum_vacuum_insert_scale_factor': 0, 'autovacuum_vacuum_insert_threshold': 500000},
}


def is_postgresql():
    return op.get_bind().dialect.name == 'postgresql'


def upgrade():
    if is_postgresql():
        with op.get_context().autocommit_block():
            # An interrupted attempt leaves an invalid index.
            op.drop_index(BOTH, table_name='deliveries', if_exists=True, postgresql_concurrently=True)
            op.create_index(BOTH, 'deliveries', ['client_id', 'run_id'], unique=True, postgresql_concurrently=True)
            op.drop_index(CLIENTS, table_name='deliveries', if_exists=True, postgresql_concurrently=True)
            op.execute(f'ALTER TABLE deliveries DROP CONSTRAINT IF EXISTS {KEY}')
        for table, settings in SETTINGS.items():
            options = ', '.join(f'{name} = {value}' for name, value in settings.items())
            op.execute(f'ALTER TABLE {table} SET ({options})')
        return
    with op.batch_alter_table('deliveries') as batch_op:
        batch_op.drop_index(CLIENTS)
        batch_op.drop_constraint(KEY, type_='unique')
        batch_op.create_index(BOTH, ['client_id', 'run_id'], unique=True)


def downgrade():
    if is_postgresql():
        for table, settings in SETTINGS.items():
            op.execute(f"ALTER TABLE {table} RESET ({', '.join(settings)})")
    with op.batch_alter_table('deliveries') as batch_op:
        batch_op.create_unique_constraint(KEY, ['run_id', 'client_id'])
        batch_op.create_index(CLIENTS, ['client_id'])
        batch_op.drop_index(BOTH)
