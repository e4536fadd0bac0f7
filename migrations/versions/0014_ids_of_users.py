"""never reuse a user's id

SQLite gave a deleted user's id to the next new user, so that links in old letters would have referred
to the wrong person. PostgreSQL's sequences never go back.

Revision ID: 0014
Revises: 0013
Create Date: 2026-11-25 17:30:00

"""
from alembic import op

# revision identifiers, used by Alembic.
revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None


def rebuild(is_given_once):
    if op.get_context().dialect.name == 'sqlite':
        with op.batch_alter_table('users', recreate='always', table_kwargs={'sqlite_autoincrement': is_given_once}):
            pass


def upgrade():
    rebuild(True)
    if op.get_context().dialect.name == 'sqlite':
        # Deleted users are still named in the audit log.
        op.execute(
            "UPDATE sqlite_sequence SET seq = max(seq, (SELECT coalesce(max(actor_id), 0) FROM audit_entries))"
            " WHERE name = 'users'"
        )


def downgrade():
    rebuild(False)
