"""Liquid with limits: users' templates cannot reach Python or exhaust the machine.

python-liquid limits loops, output and memory per statement. This module limits the cost of individual
filters and ranges, with one budget per letter.
"""

import functools
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from liquid import BoundTemplate, Environment, RenderContext
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.exceptions import LiquidError, ResourceLimitError
from liquid.filter import with_context
from liquid.undefined import Undefined

from skymailing.delivery.rendering import comparisons
from skymailing.delivery.rendering.liquid_errors import explain, find_tag
from skymailing.delivery.rendering.liquid_tags import (
    MAX_TAG,
    N_,
    TemplateError,
    find_tags,
    line_at,
)
from skymailing.delivery.rendering.tracked_links import MAX_LINKS, TRACKING_TAGS
from skymailing.delivery.rendering.values import DEFAULT_FORMATS, ValueFormats, to_date, to_number

MAX_OUTPUT = 1_000_000  # bytes of one rendered part
MAX_TAGS = 5_000  # in one template; parsing a tag takes 0.1 ms
MAX_LOCALS = 200_000  # bytes in a template's own variables
MAX_WORK = 100_000  # steps per part of a letter; at worst a few hundredths of a second
MAX_RANGE = 10_000
MAX_INTEGER_BITS = 4_096
MAX_EXPONENT = 100

TAGS = frozenset(
    "content output illegal if comment unless case for break continue capture cycle assign "
    "increment decrement echo ifchanged #".split()
)
MATH = frozenset("abs at_least at_most ceil divided_by floor minus modulo plus round times".split())
# `safe` would insert a client's data into the HTML unescaped; `escapejs` is useless in a letter.
DISABLED_FILTERS = frozenset({"safe", "escapejs"})


def limit_ranges(original: Callable[..., range]) -> Callable[..., range]:
    @functools.wraps(original)
    def make_range(self: RangeLiteral, start: Any, stop: Any) -> range:
        result = original(self, start, stop)
        if result and result[-1] - result[0] >= MAX_RANGE:
            raise ResourceLimitError("range limit reached", token=self.token)
        return result

    return make_range


# A long range is cheap to create but expensive to join, sort or search; the library has no limit for it.
# Any expression may contain one, so the limit applies where the library creates all ranges.
RangeLiteral._make_range = limit_ranges(RangeLiteral._make_range)  # type: ignore[method-assign]
comparisons.install()


class Context(RenderContext):
    """The context of one rendering, which counts its work."""

    def __init__(
        self,
        template: BoundTemplate,
        values: Mapping[str, object],
        tag_count: int,
        formats: ValueFormats = DEFAULT_FORMATS,
    ) -> None:
        super().__init__(template, globals=values)
        self.formats = formats
        self.tag_count = tag_count
        self.work = 0

    def spend(self, work: int) -> None:
        """Count `work` steps; raises ResourceLimitError beyond the limit."""
        self.work += work
        if self.work > MAX_WORK:
            raise ResourceLimitError("the template does too much", token=None)

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Count a loop before its first iteration, as if each iteration rendered the whole template."""
        self.spend(length * self.tag_count)


def estimate_argument(value: object) -> int:
    """Return roughly how many steps a filter needs for an argument."""
    if isinstance(value, str):
        if EXPONENT.search(value[:MAX_TAG]):
            check_exponent(value)
        return len(value)
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        raise ResourceLimitError("the number is too large", token=None)
    if isinstance(value, list | tuple):
        return len(value) + sum(len(item) for item in value if isinstance(item, str))
    if isinstance(value, range):
        return len(value)
    return 1


EXPONENT = re.compile(r"^\s*[-+]?[\d.]+[eE][-+]?(\d+)\s*$")


def check_exponent(value: str) -> None:
    """Reject numbers such as 1e999999999, which would be written out digit by digit."""
    match = EXPONENT.search(value)
    if match and int(match.group(1)[:9]) > MAX_EXPONENT:
        raise ResourceLimitError("the number is too large", token=None)


def estimate_result(name: str, value: object, args: tuple[Any, ...]) -> int:
    """Return the size of a result that may be a product of its arguments' sizes."""
    if name == "replace" and args:
        return str(value).count(str(args[0])) * len(str(args[1])) if len(args) > 1 else 0
    if name == "join" and isinstance(value, list | tuple | range):
        return len(value) * (len(str(args[0])) if args else 1)
    return 0


def limit_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a filter so that its work is counted before it runs."""
    wants_context = getattr(function, "with_context", False)
    wants_environment = getattr(function, "with_environment", False)

    def run(value: object, *args: Any, context: Context, **options: Any) -> Any:
        if name in MATH:
            value = to_number(value, context.formats)
            args = tuple(to_number(argument, context.formats) for argument in args)
        elif name == "date":
            value = to_date(value, context.formats)
        work = (
            10
            + estimate_argument(value)
            + sum(map(estimate_argument, args))
            + sum(map(estimate_argument, options.values()))
        )
        context.spend(work + estimate_result(name, value, args))
        if wants_context:
            options["context"] = context
        if wants_environment:
            options["environment"] = context.env
        return function(value, *args, **options)

    return with_context(run)


class LetterEnvironment(Environment):
    """Liquid with the standard tags and filters that suit an email."""

    output_stream_limit = MAX_OUTPUT
    local_namespace_limit = MAX_LOCALS

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        self.tags = {name: tag for name, tag in self.tags.items() if name in TAGS}
        self.filters = {
            name: limit_filter(name, function)
            for name, function in self.filters.items()
            if name not in DISABLED_FILTERS
        }


TEXT = LetterEnvironment()
HTML = LetterEnvironment(autoescape=True)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parsed template and its properties."""

    template: BoundTemplate
    tag_count: int
    # Paths of the values that it uses, such as ("client", "city").
    variables: frozenset[tuple[str, ...]]
    # Names of the template's own variables.
    locals: frozenset[str]
    source: str


def parse(source: str, *, escape: bool) -> Parsed:
    """Parse the template; raises TemplateError with the line of the problem."""
    # A message that its author could save must not exceed a limit because its links are tracked.
    max_added = MAX_LINKS + 1
    tags = Counter(tag.text in TRACKING_TAGS for tag in islice(find_tags(source), MAX_TAGS + max_added + 1))
    count = tags[False] + max(tags[True] - max_added, 0)
    if count > MAX_TAGS:
        raise TemplateError(N_("The template is too complicated"))
    environment = HTML if escape else TEXT
    try:
        template = environment.from_string(source)
        found = template.analyze()
    except LiquidError as error:
        raise explain(error, source) from error
    except Exception as error:  # hostile input: the parser may exceed recursion or number limits
        raise TemplateError(N_("The template is too complicated")) from error
    for name, spans in found.filters.items():
        if name not in environment.filters:
            raise TemplateError(
                N_("There is no filter “%(name)s”"),
                line_at(source, spans[0].index),
                tag=found_tag.text if (found_tag := find_tag(source, spans[0].index)) else "",
                name=name,
            )
    variables = frozenset(
        tuple(str(segment) for segment in variable.segments)
        for group in found.globals.values()
        for variable in group
    )
    return Parsed(template, count + 1, variables, frozenset(found.locals), source)


def render(parsed: Parsed, values: Mapping[str, object], source: str = "") -> str:
    """Render the whole template; raises TemplateError, with a line if `source` is given."""
    context = Context(parsed.template, values, parsed.tag_count)
    buffer = parsed.template._get_buffer()
    try:
        for node in parsed.template.nodes:
            node.render(context, buffer)
    except LiquidError as error:
        error.token = error.token or node.token
        raise explain(error, source) from error
    except Exception as error:  # unusual values may break a filter in any way
        raise TemplateError(
            N_("The placeholders cannot be filled in"),
            line_at(source, node.token.start_index),
            tag=found.text if (found := find_tag(source, node.token.start_index)) else "",
        ) from error
    return buffer.getvalue()


def look_up(path: tuple[str, ...], values: Mapping[str, object]) -> str:
    """Return the value at `path` as text, or an empty string."""
    found: object = values
    for segment in path:
        found = found.get(segment) if isinstance(found, Mapping) else None
    return "" if found is None or isinstance(found, Mapping | Undefined) else str(found)
