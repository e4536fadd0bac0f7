"""count each view of an article once

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-23 00:45:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('view_folds',
    sa.Column('name', sa.String(length=32), nullable=False),
    sa.Column('folded_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_view_folds'))
    )
    with op.batch_alter_table('view_folds', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_view_folds_folded_at'), ['folded_at'], unique=False)


def downgrade():
    op.drop_table('view_folds')
