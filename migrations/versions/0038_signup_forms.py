"""add sign-up forms, and more about consents

Revision ID: 0038
Revises: 0037
Create Date: 2026-11-29 08:10:00

"""
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = '0038'
down_revision = '0037'
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')
BIG = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
CONSENT_COLUMNS = (
    ('purpose', sa.String(length=16), 'letters'),
    ('agent', sa.String(length=300), ''),
    ('previous_key', sa.String(length=320), ''),
)


def upgrade():
    for name, type_, default in CONSENT_COLUMNS:
        op.add_column('consents', sa.Column(name, type_, server_default=default, nullable=False))
    op.add_column('consents', sa.Column('form_id', sa.Integer(), nullable=True))
    create_forms()
    create_signups()
    create_links('form_tags', 'tag_id', 'tags')
    create_links('client_forms', 'client_id', 'clients')
    op.create_table(
        'form_days',
        sa.Column('form_id', sa.Integer(), nullable=False),
        sa.Column('day', sa.Date(), nullable=False),
        sa.Column('requested', sa.Integer(), nullable=False),
        sa.Column('confirmed', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['form_id'], ['forms.id'], name=op.f('fk_form_days_form_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('form_id', 'day', name=op.f('pk_form_days')),
    )
    op.create_table(
        'signup_mailboxes',
        sa.Column('mailbox', sa.String(length=64), nullable=False),
        sa.Column('latest_at', MOMENT, nullable=False),
        sa.Column('second_at', MOMENT, nullable=False),
        sa.Column('third_at', MOMENT, nullable=False),
        sa.PrimaryKeyConstraint('mailbox', name=op.f('pk_signup_mailboxes')),
    )
    op.create_index(op.f('ix_signup_mailboxes_latest_at'), 'signup_mailboxes', ['latest_at'])


def text_column(name, length=None):
    type_ = sa.String(length=length) if length else sa.Text()
    return sa.Column(name, type_, server_default='', nullable=False)


def create_forms():
    op.create_table(
        'forms',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('uuid', sa.String(length=36), nullable=False),
        sa.Column('name', sa.String(length=200), nullable=False),
        sa.Column('is_open', sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column('language', sa.String(length=10), nullable=False),
        text_column('title', 200),
        text_column('introduction'),
        text_column('button', 60),
        text_column('consent_text'),
        text_column('thanks_text'),
        text_column('thanks_url', 500),
        sa.Column('fields', JSON, nullable=False),
        text_column('confirm_subject', 200),
        text_column('confirm_body'),
        sa.Column('sender_id', sa.Integer(), nullable=True),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('updated_at', MOMENT, nullable=False),
        sa.ForeignKeyConstraint(['owner_id'], ['users.id'], name=op.f('fk_forms_owner_id'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['sender_id'], ['senders.id'], name=op.f('fk_forms_sender_id'), ondelete='SET NULL'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_forms')),
        sa.UniqueConstraint('uuid', name=op.f('uq_forms_uuid')),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f('ix_forms_owner_id'), 'forms', ['owner_id'])
    op.create_index(op.f('ix_forms_sender_id'), 'forms', ['sender_id'])


def create_signups():
    op.create_table(
        'signups',
        sa.Column('id', BIG, nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('form_id', sa.Integer(), nullable=False),
        sa.Column('email', sa.String(length=320), nullable=False),
        sa.Column('email_key', sa.String(length=320), nullable=False),
        sa.Column('values', JSON, nullable=False),
        sa.Column('requests', sa.Integer(), nullable=False),
        sa.Column('requested_at', MOMENT, nullable=False),
        sa.Column('ip', sa.String(length=45), nullable=False),
        sa.Column('agent', sa.String(length=300), nullable=False),
        sa.Column('text_id', sa.Integer(), nullable=True),
        sa.Column('confirmed_at', MOMENT, nullable=True),
        sa.Column('is_waiting', sa.Boolean(), nullable=False),
        sa.Column('expires_at', MOMENT, nullable=False),
        sa.ForeignKeyConstraint(['owner_id'], ['users.id'], name=op.f('fk_signups_owner_id'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['form_id'], ['forms.id'], name=op.f('fk_signups_form_id'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['text_id'], ['consent_texts.id'], name=op.f('fk_signups_text_id')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_signups')),
        sqlite_autoincrement=True,
    )
    for column in ('owner_id', 'form_id', 'text_id', 'expires_at'):
        op.create_index(op.f(f'ix_signups_{column}'), 'signups', [column])
    create_partial_index('uq_signups_open', ['form_id', 'email_key'], 'confirmed_at IS NULL', unique=True)
    create_partial_index('ix_signups_waiting', ['owner_id'], 'is_waiting')


def create_partial_index(name, columns, condition, unique=False):
    where = sa.text(condition)
    op.create_index(name, 'signups', columns, unique=unique, postgresql_where=where, sqlite_where=where)


def create_links(table, column, target):
    op.create_table(
        table,
        sa.Column('form_id', sa.Integer(), nullable=False),
        sa.Column(column, BIG if target == 'clients' else sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['form_id'], ['forms.id'], name=op.f(f'fk_{table}_form_id'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint([column], [f'{target}.id'], name=op.f(f'fk_{table}_{column}'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('form_id', column, name=op.f(f'pk_{table}')),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f(f'ix_{table}_{column}'), table, [column])


def downgrade():
    for table in ('signup_mailboxes', 'form_days', 'client_forms', 'form_tags', 'signups', 'forms'):
        op.drop_table(table)
    op.drop_column('consents', 'form_id')
    for name, _type, _default in reversed(CONSENT_COLUMNS):
        op.drop_column('consents', name)
