"""remember when consents lost their client, and remove them some years later

Revision ID: 0026
Revises: 0025
Create Date: 2026-11-28 18:10:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0026'
down_revision = '0025'
branch_labels = None
depends_on = None

IS_ORPHANED = sa.text('orphaned_at IS NOT NULL')


def upgrade():
    op.add_column('consents', sa.Column('orphaned_at', sa.DateTime(timezone=True), nullable=True))
    op.execute(
        'UPDATE consents SET orphaned_at = CURRENT_TIMESTAMP WHERE NOT EXISTS (SELECT 1 FROM clients'
        ' WHERE clients.owner_id = consents.owner_id AND clients.email_key = consents.email_key)'
    )
    op.create_index(
        'ix_consents_orphaned', 'consents', ['orphaned_at'],
        postgresql_where=IS_ORPHANED, sqlite_where=IS_ORPHANED,
    )


def downgrade():
    op.drop_index('ix_consents_orphaned', table_name='consents')
    op.drop_column('consents', 'orphaned_at')
