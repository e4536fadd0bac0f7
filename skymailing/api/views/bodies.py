"""Read the body and the query of a request with a schema, and report all errors with their locations."""

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from marshmallow import RAISE, Schema, ValidationError
from webargs.flaskparser import FlaskParser

from skymailing.api.problems import ApiError, FieldError, InvalidFields
from skymailing.api.schema_texts import CODES, explain_schema_error
from skymailing.api.strict_json import read_json
from skymailing.delivery.rendering.content import clean

MAX_ERRORS = 100
OF_ENTRY = {"key", "value"}


class Parser(FlaskParser):
    """The parser of all views: it accepts strict JSON only, and no unknown fields."""

    DEFAULT_UNKNOWN_BY_LOCATION = {"json": RAISE, "query": RAISE}  # noqa: RUF012 - as in webargs

    def load_json(self, req: Any, schema: Schema) -> Any:  # noqa: ARG002 - as in webargs
        if not req.is_json:
            raise ApiError(415, "not_json")
        return read_json(req.get_data())

    def load_querystring(self, req: Any, schema: Schema) -> Any:
        if any("\0" in value for _name, value in req.args.items(multi=True)):
            raise ApiError(400, "json_nul")
        return super().load_querystring(req, schema)

    def handle_error(self, error: ValidationError, req: Any, schema: Schema, **_options: Any) -> NoReturn:  # noqa: ARG002 - as in webargs
        (location, messages), *_rest = error.normalized_messages().items()  # type: ignore[no-untyped-call]
        raise InvalidFields(list(list_errors(messages, is_query=location == "query"))[:MAX_ERRORS])


def list_errors(messages: Any, path: str = "", *, is_query: bool = False) -> Iterator[FieldError]:
    """Yield marshmallow's errors, which are nested like the value."""
    if isinstance(messages, Mapping) and messages.keys() <= OF_ENTRY and path:
        # The errors of an entry of fields.Dict, by its key and its value.
        for inner in messages.values():
            yield from list_errors(inner, path, is_query=is_query)
        return
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            inner_path = path if name == "_schema" else f"{path}/{escape_pointer(str(name))}"
            yield from list_errors(inner, inner_path, is_query=is_query)
        return
    for message in messages if isinstance(messages, list) else [messages]:
        code, text = explain_schema_error(str(message))
        yield FieldError(path, code, text, path.lstrip("/") if is_query else "")


def refuse_blank(texts: Mapping[str, str]) -> None:
    """Raise InvalidFields for texts that contain only white space and control characters."""
    if blank := [name for name, text in texts.items() if not clean(text).strip()]:
        raise InvalidFields([FieldError(f"/{name}", "required", str(CODES["required"])) for name in blank])


def escape_pointer(name: str) -> str:
    return name[:100].replace("~", "~0").replace("/", "~1")
