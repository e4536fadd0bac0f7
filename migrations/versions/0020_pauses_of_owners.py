"""pause only the letters of an owner whom a mail server refuses

Revision ID: 0020
Revises: 0019
Create Date: 2026-11-28 14:30:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0020'
down_revision = '0019'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        'owner_pauses',
        sa.Column('route', sa.String(length=64), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('until', sa.DateTime(timezone=True), nullable=False),
        sa.Column('seconds', sa.Integer(), nullable=False),
        sa.Column('reply', sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_owner_pauses_owner_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('route', 'owner_id', name=op.f('pk_owner_pauses')),
    )
    op.add_column('routes', sa.Column('blamed_owner_id', sa.Integer(), nullable=True))


def downgrade():
    op.drop_column('routes', 'blamed_owner_id')
    op.drop_table('owner_pauses')
