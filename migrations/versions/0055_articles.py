"""add languages, covers and drafts of articles, addresses for test letters, and checks of links

Revision ID: 0055
Revises: 0054
Create Date: 2026-11-29 18:00:00

"""
import re

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = '0055'
down_revision = '0054'
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')
MOMENT = sa.DateTime(timezone=True)
CROP = {'crop_x': '50', 'crop_y': '50', 'crop_zoom': '100'}  # with their defaults


def upgrade():
    op.add_column('articles', sa.Column('language', sa.String(length=10), server_default='', nullable=False))
    op.add_column('articles', sa.Column('cover', sa.String(length=255), server_default='', nullable=False))
    for name, default in CROP.items():
        op.add_column('articles', sa.Column(name, sa.Integer(), server_default=default, nullable=False))
    guess_languages()
    op.create_table(
        'article_drafts',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('author_id', sa.Integer(), nullable=False),
        sa.Column('article_id', sa.Integer(), nullable=True),
        sa.Column('fields', JSON, nullable=False),
        sa.Column('seen', sa.String(length=40), nullable=False),
        sa.Column('revision', sa.Integer(), nullable=False),
        sa.Column('saved_at', MOMENT, nullable=False),
        sa.Column('discarded_at', MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ['article_id'], ['articles.id'], name=op.f('fk_article_drafts_article_id_articles'), ondelete='CASCADE'
        ),
        sa.ForeignKeyConstraint(
            ['author_id'], ['users.id'], name=op.f('fk_article_drafts_author_id_users'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_article_drafts')),
    )
    op.create_index(op.f('ix_article_drafts_author_id_id'), 'article_drafts', ['author_id', 'id'])
    op.create_index(op.f('ix_article_drafts_article_id'), 'article_drafts', ['article_id'])
    op.create_index(
        'ix_article_drafts_active',
        'article_drafts',
        ['author_id', 'article_id'],
        unique=True,
        sqlite_where=sa.text('discarded_at IS NULL'),
        postgresql_where=sa.text('discarded_at IS NULL'),
    )
    op.add_column('outbox', sa.Column('content', sa.Text(), nullable=True))
    op.add_column('outbox', sa.Column('answer', sa.String(length=500), server_default='', nullable=False))
    op.create_index(
        'ix_outbox_confirm_reviewer',
        'outbox',
        ['to', 'created_at'],
        sqlite_where=sa.text("template = 'confirm-reviewer'"),
        postgresql_where=sa.text("template = 'confirm-reviewer'"),
    )
    op.create_table(
        'reviewers',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('address', sa.String(length=320), nullable=False),
        sa.Column('address_key', sa.String(length=320), nullable=False),
        sa.Column('confirmed_at', MOMENT, nullable=True),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('updated_at', MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_reviewers_owner_id_users'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_reviewers')),
        sa.UniqueConstraint('owner_id', 'address_key', name=op.f('uq_reviewers_owner_id_address_key')),
    )
    op.create_table(
        'link_checks',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('message_id', sa.Integer(), nullable=True),
        sa.Column('version', sa.Integer(), nullable=True),
        sa.Column('links', JSON, nullable=False),
        sa.Column('skipped', sa.Integer(), nullable=False),
        sa.Column('requested_at', MOMENT, nullable=False),
        sa.Column('started_at', MOMENT, nullable=True),
        sa.Column('finished_at', MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ['message_id'], ['messages.id'], name=op.f('fk_link_checks_message_id_messages'), ondelete='CASCADE'
        ),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_link_checks_owner_id_users'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_link_checks')),
    )
    op.create_index(op.f('ix_link_checks_message_id'), 'link_checks', ['message_id'])
    op.create_index(op.f('ix_link_checks_owner_id_id'), 'link_checks', ['owner_id', 'id'])


def guess_languages():
    """Set the language of existing articles: Russian if most letters are Cyrillic, otherwise English."""
    articles = sa.table(
        'articles',
        sa.column('id', sa.Integer),
        sa.column('title', sa.String),
        sa.column('body', sa.Text),
        sa.column('language', sa.String),
    )
    connection = op.get_bind()
    for id_, title, body in connection.execute(sa.select(articles.c.id, articles.c.title, articles.c.body)).all():
        text = re.sub(r'`[^`]*`', '', title + body)
        cyrillic = len(re.findall('[а-яё]', text, re.IGNORECASE))
        latin = len(re.findall('[a-z]', text, re.IGNORECASE))
        language = 'ru' if cyrillic > latin else 'en'
        connection.execute(articles.update().where(articles.c.id == id_).values(language=language))


def downgrade():
    op.drop_table('link_checks')
    op.drop_table('reviewers')
    op.drop_index('ix_outbox_confirm_reviewer', table_name='outbox')
    with op.batch_alter_table('outbox', schema=None) as batch_op:
        batch_op.drop_column('answer')
        batch_op.drop_column('content')
    op.drop_table('article_drafts')
    with op.batch_alter_table('articles', schema=None) as batch_op:
        for name in ('language', 'cover', *CROP):
            batch_op.drop_column(name)
