"""keep uploaded files until their columns are confirmed, and how people agreed to letters

Revision ID: 0024
Revises: 0023
Create Date: 2026-11-28 14:50:00

"""
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = '0024'
down_revision = '0023'
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
MOMENT = sa.DateTime(timezone=True)


def owner(table):
    return (
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f(f'fk_{table}_owner_id'), ondelete='CASCADE'
        ),
    )


def upgrade():
    op.create_table(
        'client_uploads',
        sa.Column('id', sa.Integer(), nullable=False),
        *owner('client_uploads'),
        sa.Column('filename', sa.String(length=255), nullable=False),
        sa.Column('content', sa.LargeBinary(), nullable=False),
        sa.Column('mapping', JSON, nullable=False),
        sa.Column('note', sa.String(length=255), nullable=False),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_client_uploads')),
    )
    op.create_index(op.f('ix_client_uploads_owner_id'), 'client_uploads', ['owner_id'])
    op.create_table(
        'consent_texts',
        sa.Column('id', sa.Integer(), nullable=False),
        *owner('consent_texts'),
        sa.Column('digest', sa.String(length=64), nullable=False),
        sa.Column('text', sa.Text(), nullable=False),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_consent_texts')),
        sa.UniqueConstraint('owner_id', 'digest', name=op.f('uq_consent_texts_owner_id_digest')),
    )
    op.create_table(
        'consents',
        sa.Column('id', BIG_ID, nullable=False),
        *owner('consents'),
        sa.Column('email_key', sa.String(length=320), nullable=False),
        sa.Column('kind', sa.String(length=16), nullable=False),
        sa.Column('at', MOMENT, nullable=False),
        sa.Column('ip', sa.String(length=45), nullable=False),
        sa.Column('text_id', sa.Integer(), nullable=True),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.ForeignKeyConstraint(['text_id'], ['consent_texts.id'], name=op.f('fk_consents_text_id')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_consents')),
    )
    op.create_index(op.f('ix_consents_owner_id_email_key'), 'consents', ['owner_id', 'email_key'])
    op.create_index(op.f('ix_consents_text_id'), 'consents', ['text_id'])
    op.add_column('client_imports', sa.Column('consent_text', sa.Text(), server_default='', nullable=False))


def downgrade():
    op.drop_column('client_imports', 'consent_text')
    op.drop_table('consents')
    op.drop_table('consent_texts')
    op.drop_table('client_uploads')
