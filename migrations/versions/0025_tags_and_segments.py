"""add tags, segments, and audiences of mailings that consist of them

Revision ID: 0025
Revises: 0024
Create Date: 2026-11-28 18:10:00

"""
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = '0025'
down_revision = '0024'
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')
MOMENT = sa.DateTime(timezone=True)
AUDIENCES = ('all', 'selected')
REMOVALS = ('clients', 'mailing')

# The two functions read the texts of attributes as `delivery.rendering.values.Habits` does; a test compares
# them with it. On SQLite, `delivery.audience.typed_values` registers the same functions in Python.
NUMBER_FUNCTION = r"""
CREATE FUNCTION attribute_number(value text, has_decimal_comma boolean) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $function$
DECLARE
    blanks CONSTANT text := E' \t\n\r\u00a0\u2009\u202f';
    space CONSTANT text := '[\s\u00a0\u2009\u202f]';
    sign CONSTANT text := '(?:[$€£₽₴₸¥%]|[A-Z]{3}(?![[:alnum:]_]))';
    word CONSTANT text := '(?:руб(?:лей|ля|ль)?\.?|р\.|грн\.?)';
    plain text := btrim(left(replace(btrim(value, blanks), '−', '-'), 60), blanks);
BEGIN
    -- A currency before the number, after it, or both.
    FOR i IN 1..2 LOOP
        IF plain ~ ('^' || sign) THEN
            plain := regexp_replace(plain, '^' || sign || space || '*', '');
        ELSE
            plain := regexp_replace(plain, space || '*(?:' || sign || '|' || word || ')$', '');
        END IF;
    END LOOP;
    plain := btrim(plain, blanks);
    IF plain ~ '^[0-9]{1,18}$' THEN
        RETURN plain::double precision;
    END IF;
    IF plain !~ ('^[+-]?[0-9]{1,3}(?:(?:' || space || '|[''’])[0-9]{3})+(?:[.,][0-9]{1,9})?$')
        AND plain !~ '^[+-]?[0-9]{1,18}(?:[.,][0-9]{1,9})?$'
        AND plain !~ '^[+-]?[0-9]{1,3}(?:(?:,[0-9]{3})+(?:\.[0-9]{1,9})?|(?:\.[0-9]{3})+,[0-9]{1,9}|(?:\.[0-9]{3}){2,})$'
    THEN
        RETURN NULL;
    END IF;
    plain := regexp_replace(plain, space || '|[''’]', '', 'g');
    IF plain ~ '^[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]{1,9})?$' THEN
        -- Thousands between commas; a single comma may also be the decimal one.
        IF plain ~ '^[^,]*,[^,.]*$' AND has_decimal_comma THEN
            plain := replace(plain, ',', '.');
        ELSE
            plain := replace(plain, ',', '');
        END IF;
    ELSIF plain ~ '^[+-]?[0-9]{1,3}(?:(?:\.[0-9]{3})+,[0-9]{1,9}|(?:\.[0-9]{3}){2,})$' THEN
        plain := replace(replace(plain, '.', ''), ',', '.');
    ELSE
        plain := replace(plain, ',', '.');
    END IF;
    RETURN plain::double precision;
END $function$
"""
DATE_FUNCTION = r"""
CREATE FUNCTION attribute_date(value text, is_day_first boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $function$
DECLARE
    blanks CONSTANT text := E' \t\n\r\u00a0\u2009\u202f';
    months CONSTANT text[] := '{янв,фев,мар,апр,мая,июн,июл,авг,сен,окт,ноя,дек}';
    plain text := btrim(left(btrim(value, blanks), 40), blanks);
    part text[];
    y int; m int; d int;
BEGIN
    IF plain ~ '^[0-9]{1,2} ' THEN
        part := regexp_match(plain, '^([0-9]{1,2}) ([а-яА-Я]{3})[а-яА-Я]{0,6}\.? ([0-9]{4})(?: ?[гГ](?:[оО][дД][аА]|\.)?)?$');
        IF part IS NULL THEN
            RETURN NULL;
        END IF;
        d := part[1]::int;
        m := array_position(months, replace(translate(part[2], 'АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ',
            'абвгдежзийклмнопрстуфхцчшщъыьэюя'), 'май', 'мая'));
        y := part[3]::int;
    ELSE
        part := regexp_match(plain, '^([0-9]{1,4})([./-])([0-9]{1,2})\2([0-9]{2,4})(?: ?г\.?)?'
            '(?:[T ,]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]{1,9})?)?(?:Z| ?UTC|[+-][0-9]{2}:?[0-9]{2})?)?$');
        IF part IS NULL OR coalesce(part[5]::int > 23 OR part[6]::int > 59 OR part[7]::int > 59, false) THEN
            RETURN NULL;
        END IF;
        IF length(part[1]) = 4 THEN
            y := part[1]::int; m := part[3]::int; d := part[4]::int;
        ELSIF length(part[1]) = 3 OR length(part[4]) = 3 THEN
            RETURN NULL;
        ELSE
            y := part[4]::int;
            IF length(part[4]) < 4 THEN
                y := y + CASE WHEN y >= 69 THEN 1900 ELSE 2000 END;
            END IF;
            IF ((is_day_first OR part[2] = '.') AND part[3]::int <= 12) OR part[1]::int > 12 THEN
                d := part[1]::int; m := part[3]::int;
            ELSE
                m := part[1]::int; d := part[3]::int;
            END IF;
        END IF;
    END IF;
    IF m IS NULL OR y < 1 OR m NOT BETWEEN 1 AND 12 OR d < 1 THEN
        RETURN NULL;
    END IF;
    IF d > extract(day FROM make_date(y, m, 1) + interval '1 month' - interval '1 day') THEN
        RETURN NULL;
    END IF;
    RETURN lpad(y::text, 4, '0') || '-' || lpad(m::text, 2, '0') || '-' || lpad(d::text, 2, '0');
END $function$
"""


def owner(table):
    return (
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ['owner_id'], ['users.id'], name=op.f(f'fk_{table}_owner_id'), ondelete='CASCADE'
        ),
    )


def reference(table, column, target, ondelete):
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f'fk_{table}_{column}'), ondelete=ondelete)


def upgrade():
    op.create_table(
        'tags',
        sa.Column('id', sa.Integer(), nullable=False),
        *owner('tags'),
        sa.Column('name', sa.String(length=100), nullable=False),
        sa.Column('name_key', sa.String(length=200), nullable=False),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_tags')),
        sa.UniqueConstraint('owner_id', 'name_key', name=op.f('uq_tags_owner_id_name_key')),
    )
    op.create_table(
        'client_tags',
        sa.Column('tag_id', sa.Integer(), nullable=False),
        sa.Column('client_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
        reference('client_tags', 'tag_id', 'tags.id', 'CASCADE'),
        reference('client_tags', 'client_id', 'clients.id', 'CASCADE'),
        sa.PrimaryKeyConstraint('tag_id', 'client_id', name=op.f('pk_client_tags')),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f('ix_client_tags_client_id'), 'client_tags', ['client_id'])
    op.create_table(
        'segments',
        sa.Column('id', sa.Integer(), nullable=False),
        *owner('segments'),
        sa.Column('name', sa.String(length=200), nullable=False),
        sa.Column('conditions', JSON, nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.Column('created_at', MOMENT, nullable=False),
        sa.Column('updated_at', MOMENT, nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_segments')),
    )
    op.create_index(op.f('ix_segments_owner_id'), 'segments', ['owner_id'])
    op.create_table(
        'mailing_audience',
        sa.Column('mailing_id', sa.Integer(), nullable=False),
        sa.Column('position', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('is_excluded', sa.Boolean(), nullable=False),
        sa.Column('segment_id', sa.Integer(), nullable=True),
        sa.Column('tag_id', sa.Integer(), nullable=True),
        sa.CheckConstraint('(segment_id IS NULL) <> (tag_id IS NULL)', name=op.f('ck_mailing_audience_one_target')),
        reference('mailing_audience', 'mailing_id', 'mailings.id', 'CASCADE'),
        reference('mailing_audience', 'segment_id', 'segments.id', 'RESTRICT'),
        reference('mailing_audience', 'tag_id', 'tags.id', 'RESTRICT'),
        sa.PrimaryKeyConstraint('mailing_id', 'position', name=op.f('pk_mailing_audience')),
    )
    for column in ('segment_id', 'tag_id'):
        op.create_index(op.f(f'ix_mailing_audience_{column}'), 'mailing_audience', [column])
    op.add_column('runs', sa.Column('audience', JSON, nullable=True))
    replace_check('mailings', 'audience', [*AUDIENCES, 'all_except', 'segments'])
    replace_check('removals', 'kind', [*REMOVALS, 'tag', 'segment', 'bulk'])
    if op.get_bind().dialect.name == 'postgresql':
        for function in (NUMBER_FUNCTION, DATE_FUNCTION):
            op.get_bind().exec_driver_sql(function.replace('%', '%%'))  # no parameters


def replace_check(table, column, values):
    with op.batch_alter_table(table, schema=None) as batch_op:
        batch_op.drop_constraint(op.f(f'ck_{table}_{column}'), type_='check')
        batch_op.create_check_constraint(column, sa.column(column).in_(values))


def downgrade():
    if op.get_bind().dialect.name == 'postgresql':
        op.execute('DROP FUNCTION attribute_date')
        op.execute('DROP FUNCTION attribute_number')
    op.execute("DELETE FROM removals WHERE kind IN ('tag', 'segment', 'bulk')")
    replace_check('removals', 'kind', REMOVALS)
    # An audience that the older version does not know becomes an empty selection, never all clients.
    op.execute("UPDATE mailings SET audience = 'selected' WHERE audience IN ('segments', 'all_except')")
    replace_check('mailings', 'audience', AUDIENCES)
    op.drop_column('runs', 'audience')
    op.drop_table('mailing_audience')
    op.drop_table('segments')
    op.drop_table('client_tags')
    op.drop_table('tags')
