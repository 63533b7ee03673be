"""GraphQL over HTTP without I/O: bytes and headers in, a Request or a refusal out; a Result in, status and bytes out.

Source: the GraphQL over HTTP specification (graphql.github.io/graphql-over-http). Both sides use it behind Starlette.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from schema.execution import Request, Result

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"


class HttpRefusal(Exception):
    """The request cannot become a GraphQL request; `status` and a stable `code` say why."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class _Body(msgspec.Struct):
    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None  # noqa: N815 - the specification's name
    extensions: dict[str, Any] | None = None


_DECODER = msgspec.json.Decoder(_Body)
_VARIABLES = msgspec.json.Decoder(dict[str, Any])
_ENCODER = msgspec.json.Encoder()


def read_post(content_type: str | None, body: bytes) -> Request:
    """The request in a POST body."""
    kind, _, parameters = (content_type or "").partition(";")
    if kind.strip().lower() != JSON:
        raise HttpRefusal(415, "UNSUPPORTED_MEDIA_TYPE", "Send the request as application/json.")
    charset = parameters.lower().partition("charset=")[2].strip(' "')
    if charset and charset not in ("utf-8", "utf8"):
        raise HttpRefusal(415, "UNSUPPORTED_MEDIA_TYPE", "Send the request in UTF-8.")
    try:
        fields = _DECODER.decode(body)
    except msgspec.ValidationError:
        raise HttpRefusal(
            400,
            "BAD_REQUEST",
            "The body must be an object with query (string), variables (object) and operationName (string).",
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise HttpRefusal(400, "BAD_JSON", "The body is not JSON.") from None
    return Request(fields.query, fields.variables, fields.operationName)


def read_get(parameters: Any) -> Request:
    """The request in a query string; `parameters` is a mapping of names to strings."""
    query = parameters.get("query")
    if not query:
        raise HttpRefusal(400, "BAD_REQUEST", "The query parameter is missing.")
    try:
        variables = _VARIABLES.decode(parameters["variables"]) if parameters.get("variables") else None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise HttpRefusal(400, "BAD_JSON", "The variables parameter is not a JSON object.") from None
    return Request(query, variables, parameters.get("operationName") or None)


def media_type(accept: str | None) -> str:
    """The media type to answer in; raises 406 when none of ours is acceptable."""
    if not accept:
        return JSON
    best, best_quality = "", 0.0
    for part in accept.split(","):
        name, *rest = (piece.strip().lower() for piece in part.split(";"))
        quality = next(
            (float(p[2:]) for p in rest if p.startswith("q=") and p[2:].replace(".", "", 1).isdecimal()), 1.0
        )
        ours = {GRAPHQL_RESPONSE: GRAPHQL_RESPONSE, JSON: JSON, "*/*": JSON, "application/*": JSON}.get(name)
        if ours and quality > best_quality:
            best, best_quality = ours, quality
    if not best:
        raise HttpRefusal(406, "NOT_ACCEPTABLE", f"Accept {GRAPHQL_RESPONSE} or {JSON}.")
    return best


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back over HTTP."""

    status: int
    content_type: str
    body: bytes


def answer(result: Result, media: str) -> Answer:
    """Status and bytes of a result: a request error is 400 in the new media type and 200 in application/json."""
    parts: dict[str, Any] = {} if result.request_error else {"data": result.data}
    if result.errors:
        parts["errors"] = result.errors
    if result.extensions:
        parts["extensions"] = result.extensions
    status = 400 if result.request_error and media == GRAPHQL_RESPONSE else 200
    return Answer(status, f"{media}; charset=utf-8", _ENCODER.encode(parts))


def refused(refusal: HttpRefusal, media: str = JSON) -> Answer:
    """A refusal in the shape of a GraphQL error."""
    error = {"message": refusal.message, "extensions": {"code": refusal.code}}
    return Answer(refusal.status, f"{media}; charset=utf-8", _ENCODER.encode({"errors": [error]}))
