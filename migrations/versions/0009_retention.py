"""removed details of runs, and accounts to be deleted

Revision ID: 0009
Revises: 0008
Create Date: 2026-11-25 14:00:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade():
    # Each has a default or is nullable, so that the previous version keeps working.
    op.add_column('runs', sa.Column('details_removed_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('runs', sa.Column('has_details', sa.Boolean(), server_default=sa.true(), nullable=False))
    op.create_index(
        'ix_runs_details', 'runs', ['finished_at'], unique=False,
        postgresql_where=sa.text('has_details'), sqlite_where=sa.text('has_details'),
    )
    op.add_column('users', sa.Column('deletion_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('users', sa.Column('erasure_began_at', sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        'ix_users_deletion_at', 'users', ['deletion_at'], unique=False,
        postgresql_where=sa.text('deletion_at IS NOT NULL'), sqlite_where=sa.text('deletion_at IS NOT NULL'),
    )


def downgrade():
    op.drop_index('ix_users_deletion_at', table_name='users')
    op.drop_column('users', 'erasure_began_at')
    op.drop_column('users', 'deletion_at')
    op.drop_index('ix_runs_details', table_name='runs')
    op.drop_column('runs', 'has_details')
    op.drop_column('runs', 'details_removed_at')
