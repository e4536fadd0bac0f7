"""a user's skipped first steps, and deleted objects that can be restored for a while

Revision ID: 0010
Revises: 0009
Create Date: 2026-11-25 13:40:00

"""
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')


def upgrade():
    with op.batch_alter_table('users', schema=None) as batch_op:
        batch_op.add_column(sa.Column('guide_skipped', JSON, server_default='[]', nullable=False))
        batch_op.add_column(sa.Column('guide_closed', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table('removals',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('owner_id', sa.Integer(), nullable=False),
    sa.Column('kind', sa.Enum('clients', 'mailing', name='kind', native_enum=False, create_constraint=True, length=16), nullable=False),
    sa.Column('content', JSON, nullable=False),
    sa.Column('removed_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['owner_id'], ['users.id'], name=op.f('fk_removals_owner_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_removals'))
    )
    with op.batch_alter_table('removals', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_removals_owner_id'), ['owner_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_removals_removed_at'), ['removed_at'], unique=False)


def downgrade():
    op.drop_table('removals')
    with op.batch_alter_table('users', schema=None) as batch_op:
        batch_op.drop_column('guide_closed')
        batch_op.drop_column('guide_skipped')
