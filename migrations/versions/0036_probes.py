"""add what test emails show about mail servers, and the mail server of account letters

Revision ID: 0036
Revises: 0035
Create Date: 2026-11-29 04:00:00

"""
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = '0036'
down_revision = '0035'
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')


def upgrade():
    op.add_column('outbox', sa.Column('server_id', sa.Integer(), nullable=True))
    for table in ('sending_domains', 'routes'):
        op.add_column(table, sa.Column('probe_sent_at', MOMENT, nullable=True))
        op.add_column(table, sa.Column('probe', JSON, server_default=sa.text("'{}'"), nullable=False))
    op.add_column('routes', sa.Column('bounce_address', sa.String(length=320), server_default='', nullable=False))


def downgrade():
    op.drop_column('routes', 'bounce_address')
    for table in ('sending_domains', 'routes'):
        op.drop_column(table, 'probe')
        op.drop_column(table, 'probe_sent_at')
    op.drop_column('outbox', 'server_id')
