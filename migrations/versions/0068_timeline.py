"""find the audit entries about an account

Revision ID: 0068
Revises: 0067
Create Date: 2026-11-29 23:00:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0068'
down_revision = '0067'
branch_labels = None
depends_on = None


def upgrade():
    about_users = sa.text("kind = 'user'")
    op.create_index(
        'ix_audit_entries_user',
        'audit_entries',
        ['target_id'],
        postgresql_where=about_users,
        sqlite_where=about_users,
    )


def downgrade():
    op.drop_index('ix_audit_entries_user', table_name='audit_entries')
