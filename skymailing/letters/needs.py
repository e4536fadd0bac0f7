"""Find the values that a transactional letter needs, including those of each element of a list."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from skymailing.delivery.rendering.content import Content, find_placeholders, prepare
from skymailing.delivery.rendering.liquid import parse
from skymailing.delivery.rendering.liquid_tags import find_tags
from skymailing.delivery.rendering.transactional import look_up_value, prints_nothing
from skymailing.messages.letter_insight import MAX_EXAMINED, STATEMENT, find_variables

Path = tuple[str, ...]
EACH = "[]"  # in a path: every element of a list
MAX_PLACES = 100_000  # a letter that uses more does not render: see MAX_WORK of `rendering.liquid`
LIST = "[*]"  # at the end of a path: a list that a loop iterates over


@dataclass(slots=True)
class Block:
    """An open condition or loop."""

    word: str
    guards: set[Path] = field(default_factory=set)
    variable: str = ""  # of a loop
    elements: Path | None = None  # the path that the variable stands for; None: unknown
    listed: Path | None = None  # the list that the loop needs


class Finder:
    """Reads the tags of a template in order."""

    def __init__(self, own_names: frozenset[str]) -> None:
        self.own_names = own_names  # that the template itself assigns
        self.blocks: list[Block] = []
        self.needed: set[Path] = set()

    def read(self, text: str, *, is_output: bool) -> None:
        word, _, rest = STATEMENT.sub("", text).partition(" ")
        if is_output:
            if "default" not in text:
                self.needed |= self.resolve(text) - self.guards
        elif word == "for":
            self.open_loop(text, rest)
        elif word in ("if", "unless"):
            self.blocks.append(Block(word, self.resolve(f"{{% if {rest} %}}{{% endif %}}")))
        elif word == "case":
            self.blocks.append(Block(word))
        elif word == "elsif" and self.blocks:
            self.blocks[-1].guards |= self.resolve(f"{{% if {rest} %}}{{% endif %}}")
        elif word == "else" and self.blocks:
            self.blocks[-1].listed = None  # the template handles an empty list
        elif word in ("endif", "endunless", "endcase", "endfor") and self.blocks:
            block = self.blocks.pop()
            if block.listed is not None:
                self.needed.add((*block.listed, LIST))

    def open_loop(self, text: str, rest: str) -> None:
        variable, _, expression = rest.partition(" in ")
        found = self.resolve(f"{{% for x in {expression} %}}{{% endfor %}}")
        block = Block("for", variable=variable.strip())
        if len(found) == 1:
            (path,) = found
            is_guarded = any(guard[: len(path)] == path for guard in self.guards)
            block.listed = None if is_guarded else path
            # Elements that the loop omits may lack values.
            is_whole = "limit" not in text and "offset" not in text
            block.elements = (*path, EACH) if is_whole else None
        self.blocks.append(block)

    @property
    def guards(self) -> set[Path]:
        return set().union(*(block.guards for block in self.blocks))

    def resolve(self, source: str) -> set[Path]:
        """Return the values that a tag uses, with the variables of loops replaced by their lists."""
        paths = set()
        for path in find_variables(source):
            loop = next((block for block in reversed(self.blocks) if block.variable == path[0]), None)
            if path[0] in self.own_names or (loop and loop.elements is None):
                continue
            paths.add((*loop.elements, *path[1:]) if loop and loop.elements else path)
        return paths


def find_needed(content: Content) -> frozenset[Path]:
    """Return the values that are used without a fallback; raises TemplateError."""
    known = set(find_placeholders(content))
    needed: set[Path] = set()
    for source in map(prepare, content.texts):
        finder = Finder(parse(source, escape=False).locals)
        for tag in islice(find_tags(source), MAX_EXAMINED):
            finder.read(tag.text, is_output=tag.is_output)
        needed |= finder.needed
    return frozenset(path for path in needed if root_of(path) in known)


def root_of(path: Path) -> Path:
    """Return the part of a path before the elements of a list."""
    marks = [path.index(mark) for mark in (EACH, LIST) if mark in path]
    return path[: min(marks)] if marks else path


def find_missing(needed: Iterable[Path], values: Mapping[str, object]) -> Iterator[Path]:
    """Yield the places where a needed value is missing."""
    places = (place for path in needed for place in expand(path, values))
    for place in islice(places, MAX_PLACES):
        if place[-1] != LIST:
            if prints_nothing(place, values):
                yield place
        elif not isinstance(look_up_value(place[:-1], values), list | Mapping):
            yield place[:-1]


def expand(path: Path, values: Mapping[str, object]) -> Iterator[Path]:
    """Yield a path for each element of its lists; nothing for a missing list, which is itself needed."""
    if EACH not in path:
        yield path
        return
    position = path.index(EACH)
    elements = look_up_value(path[:position], values)
    if isinstance(elements, list):
        for number in range(len(elements)):
            yield from expand((*path[:position], str(number), *path[position + 1 :]), values)
