"""add templates of messages, and fonts, colours, address and links to brands

Revision ID: 0052
Revises: 0051
Create Date: 2026-11-29 16:00:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0052'
down_revision = '0051'
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
FORMAT = sa.Enum(
    'markdown', 'html', 'text', name='format', native_enum=False, create_constraint=True, length=16
)

# Columns of brands, with their lengths.
BRAND = {
    'font': 16, 'text_color': 7, 'link_color': 7, 'button_color': 7, 'background_color': 7, 'address': 500, 'links': 4000
}


def upgrade():
    for name, length in BRAND.items():
        op.add_column('brands', sa.Column(name, sa.String(length=length), server_default='', nullable=False))
    op.create_table(
        'message_templates',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('name', sa.String(length=100), nullable=False),
        sa.Column('subject', sa.String(length=500), nullable=False),
        sa.Column('preheader', sa.String(length=250), server_default='', nullable=False),
        sa.Column('language', sa.String(length=10), server_default='', nullable=False),
        sa.Column('format', FORMAT, nullable=False),
        sa.Column('body', sa.Text(), nullable=False),
        sa.Column('source_format', sa.String(length=16), server_default='', nullable=False),
        sa.Column('source', sa.Text(), server_default='', nullable=False),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('updated_at', MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f('fk_message_templates_owner_id_users'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_message_templates')),
    )
    op.create_index(op.f('ix_message_templates_owner_id_id'), 'message_templates', ['owner_id', 'id'])


def downgrade():
    op.drop_table('message_templates')
    with op.batch_alter_table('brands', schema=None) as batch_op:
        for name in BRAND:
            batch_op.drop_column(name)
