"""keep the names of clients' attributes, and index when drafts were saved and discarded

An export had to read all clients for the names before its first row. Until the search index is up to date, a
running older version adds no names, but the clients that it changes wait for the index and are read then.

Revision ID: 0063
Revises: 0062
Create Date: 2026-11-29 22:20:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0063'
down_revision = '0062'
branch_labels = None
depends_on = None

DRAFTS = ('message_drafts', 'article_drafts')
MOMENTS = ('saved_at', 'discarded_at')


def upgrade():
    op.create_table(
        'attribute_names',
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('name', sa.Text(), nullable=False),
        sa.Column('checked_at', sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_attribute_names_owner_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('owner_id', 'name', name=op.f('pk_attribute_names')),
    )
    op.create_index(op.f('ix_attribute_names_checked_at'), 'attribute_names', ['checked_at'])
    is_sqlite = op.get_bind().dialect.name == 'sqlite'
    pairs, now = ('json_each', "datetime('now')") if is_sqlite else ('jsonb_each', 'now()')
    op.execute(
        'INSERT INTO attribute_names (owner_id, name, checked_at) '
        f'SELECT DISTINCT owner_id, pairs.key, {now} FROM clients, {pairs}(clients.attributes) AS pairs'
    )
    for table in DRAFTS:
        for column in MOMENTS:
            op.create_index(f'ix_{table}_{column}', table, [column])


def downgrade():
    for table in DRAFTS:
        for column in MOMENTS:
            op.drop_index(f'ix_{table}_{column}', table_name=table)
    op.drop_table('attribute_names')
