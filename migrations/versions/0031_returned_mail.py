"""add returned letters, what they report, and Message-IDs that can be read again

Revision ID: 0031
Revises: 0030
Create Date: 2026-12-01 12:00:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0031'
down_revision = '0030'
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
STATES = ('new', 'understood', 'ignored', 'unclear')
KINDS = ('hard', 'soft', 'policy', 'complaint')
PROOFS = ('signed', 'address', 'person', 'dismissed')
IS_UNCLEAR = sa.text("state = 'unclear'")


def upgrade():
    op.add_column('runs', sa.Column('has_signed_ids', sa.Boolean(), nullable=False, server_default=sa.false()))
    for name in ('returned', 'complaints'):
        op.add_column('runs', sa.Column(name, sa.BigInteger(), nullable=False, server_default='0'))
    op.create_table(
        'returned_letters',
        sa.Column('id', BIG_ID, nullable=False),
        sa.Column('digest', sa.String(length=64), nullable=False),
        sa.Column('source', sa.String(length=16), nullable=False),
        sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('raw', sa.LargeBinary(), nullable=False),
        sa.Column('state', sa.String(length=16), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=True),
        sa.CheckConstraint(sa.column('state').in_(STATES), name=op.f('ck_returned_letters_state')),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_returned_letters_owner_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_returned_letters')),
        sa.UniqueConstraint('digest', name=op.f('uq_returned_letters_digest')),
    )
    op.create_index(op.f('ix_returned_letters_owner_id'), 'returned_letters', ['owner_id'])
    op.create_index(
        'ix_returned_letters_unclear', 'returned_letters', ['id'],
        postgresql_where=IS_UNCLEAR, sqlite_where=IS_UNCLEAR,
    )
    _extend_bounces()


def _extend_bounces():
    # No version has written bounces yet, so copying and checking the table takes no time.
    with op.batch_alter_table('bounces') as batch:
        batch.add_column(sa.Column('letter_id', BIG_ID, nullable=True))
        batch.add_column(sa.Column('owner_id', sa.Integer(), nullable=True))
        batch.add_column(sa.Column('run_id', sa.Integer(), nullable=True))
        batch.add_column(sa.Column('mailing_id', sa.Integer(), nullable=True))
        batch.add_column(sa.Column('proof', sa.String(length=16), nullable=False, server_default='address'))
        batch.add_column(sa.Column('action', sa.String(length=16), nullable=False, server_default=''))
        batch.add_column(sa.Column('remote_mta', sa.String(length=255), nullable=False, server_default=''))
        batch.drop_constraint(op.f('ck_bounces_kind'), type_='check')
        batch.create_check_constraint(op.f('ck_bounces_kind'), sa.column('kind').in_(KINDS))
        batch.create_check_constraint(op.f('ck_bounces_proof'), sa.column('proof').in_(PROOFS))
        batch.create_foreign_key(
            op.f('fk_bounces_letter_id'), 'returned_letters', ['letter_id'], ['id'], ondelete='SET NULL'
        )
        batch.create_foreign_key(op.f('fk_bounces_owner_id'), 'users', ['owner_id'], ['id'], ondelete='CASCADE')
    op.create_index(op.f('ix_bounces_letter_id'), 'bounces', ['letter_id'])
    op.create_index('uq_bounces_delivery_id_kind', 'bounces', ['delivery_id', 'kind'], unique=True)
    op.create_index(op.f('ix_bounces_owner_id_id'), 'bounces', ['owner_id', 'id'])
    op.create_index(op.f('ix_bounces_owner_id_email_key'), 'bounces', ['owner_id', 'email_key'])


def downgrade():
    for name in ('owner_id_email_key', 'owner_id_id', 'letter_id'):
        op.drop_index(op.f(f'ix_bounces_{name}'), table_name='bounces')
    op.drop_index('uq_bounces_delivery_id_kind', table_name='bounces')
    op.execute("DELETE FROM bounces WHERE kind = 'policy'")
    with op.batch_alter_table('bounces') as batch:
        batch.drop_constraint(op.f('fk_bounces_owner_id'), type_='foreignkey')
        batch.drop_constraint(op.f('fk_bounces_letter_id'), type_='foreignkey')
        batch.drop_constraint(op.f('ck_bounces_proof'), type_='check')
        batch.drop_constraint(op.f('ck_bounces_kind'), type_='check')
        batch.create_check_constraint(op.f('ck_bounces_kind'), sa.column('kind').in_(('hard', 'soft', 'complaint')))
        for name in ('letter_id', 'owner_id', 'run_id', 'mailing_id', 'proof', 'action', 'remote_mta'):
            batch.drop_column(name)
    op.drop_table('returned_letters')
    for name in ('complaints', 'returned', 'has_signed_ids'):
        op.drop_column('runs', name)
