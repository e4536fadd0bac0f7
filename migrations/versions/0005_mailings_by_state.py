"""a user's mailings by state, for the start page

Revision ID: 0005
Revises: 0004
Create Date: 2026-11-23 01:16:00

"""
from alembic import op

# revision identifiers, used by Alembic.
revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table('mailings', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_mailings_owner_id_state'), ['owner_id', 'state'], unique=False)


def downgrade():
    with op.batch_alter_table('mailings', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_mailings_owner_id_state'))
