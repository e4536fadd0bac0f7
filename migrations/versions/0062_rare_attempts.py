"""index attempts that failed, and letters whose addresses belong to no client

The log of an owner with millions of attempts looked for them among all attempts, for up to 12 s. On PostgreSQL
the indexes are created without blocking writers, so this migration commits the ones before it.

Revision ID: 0062
Revises: 0061
Create Date: 2026-11-29 22:00:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0062'
down_revision = '0061'
branch_labels = None
depends_on = None

INDEXES = (
    ('ix_attempts_not_sent_owner', 'attempts', ['owner_id', 'outcome', 'id'], "outcome <> 'sent'"),
    ('ix_attempts_not_sent_mailing', 'attempts', ['mailing_id', 'outcome', 'id'], "outcome <> 'sent'"),
    ('ix_deliveries_detached', 'deliveries', ['email_key'], 'client_id IS NULL'),
    ('ix_consents_changed', 'consents', ['owner_id', 'previous_key'], "previous_key <> ''"),
)


def upgrade():
    with op.get_context().autocommit_block():
        for name, table, columns, condition in INDEXES:
            # An interrupted attempt leaves an invalid index.
            op.drop_index(name, table_name=table, if_exists=True, postgresql_concurrently=True)
            op.create_index(
                name, table, columns, postgresql_concurrently=True,
                postgresql_where=sa.text(condition), sqlite_where=sa.text(condition),
            )


def downgrade():
    for name, table, _columns, _condition in INDEXES:
        op.drop_index(name, table_name=table)
