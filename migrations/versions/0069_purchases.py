"""add purchases that owners' shops report

Revision ID: 0069
Revises: 0068
Create Date: 2026-11-30 05:00:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0069'
down_revision = '0068'
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
MOMENT = sa.DateTime(timezone=True)


def upgrade():
    op.create_table(
        'purchases',
        sa.Column('id', BIG_ID, nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('order_number', sa.String(length=100), nullable=False),
        sa.Column('client_id', BIG_ID, nullable=True),
        sa.Column('run_id', sa.Integer(), nullable=True),
        sa.Column('mailing_id', sa.Integer(), nullable=True),
        sa.Column('amount', sa.BigInteger(), nullable=False),
        sa.Column('currency', sa.String(length=3), nullable=False),
        sa.Column('purchased_at', MOMENT, nullable=False),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('updated_at', MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_purchases_owner_id'), ondelete='CASCADE'
        ),
        sa.ForeignKeyConstraint(
            ['client_id'], ['clients.id'], name=op.f('fk_purchases_client_id'), ondelete='SET NULL'
        ),
        sa.ForeignKeyConstraint(
            ['run_id'], ['runs.id'], name=op.f('fk_purchases_run_id'), ondelete='SET NULL'
        ),
        sa.ForeignKeyConstraint(
            ['mailing_id'], ['mailings.id'], name=op.f('fk_purchases_mailing_id'), ondelete='SET NULL'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_purchases')),
        sa.UniqueConstraint('owner_id', 'order_number', name=op.f('uq_purchases_owner_id_order_number')),
    )
    op.create_index(op.f('ix_purchases_client_id_purchased_at'), 'purchases', ['client_id', 'purchased_at'])
    op.create_index(op.f('ix_purchases_run_id_currency_amount'), 'purchases', ['run_id', 'currency', 'amount'])
    op.create_index(
        'ix_purchases_mailing', 'purchases', ['mailing_id', 'purchased_at', 'currency', 'amount']
    )
    op.create_index(
        'ix_purchases_period', 'purchases', ['owner_id', 'purchased_at', 'mailing_id', 'currency', 'amount']
    )
    has_buyer = sa.text('client_id IS NOT NULL')
    op.create_index(
        'ix_purchases_buyer',
        'purchases',
        ['purchased_at'],
        postgresql_where=has_buyer,
        sqlite_where=has_buyer,
    )


def downgrade():
    op.drop_table('purchases')
