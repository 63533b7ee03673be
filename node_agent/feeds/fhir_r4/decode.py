"""Bytes -> JSON values with a place each: one document, or NDJSON. Numbers keep their digits; nothing is
read as a float.

The standard library's decoder, not msgspec: msgspec keeps the last of two equal keys without a word, and
finding them
afterwards costs more than decoding. What a resource means: bundle.py and the mapping files.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from node_agent.feeds.fhir_r4.problem import ReadingError

MAX_BYTES = 128 * 1024 * 1024  # decoded, a file takes some 25 times its size in memory
_ESCAPED = re.compile(r"\\u(?:[dD][89a-fA-F]|0000)")
_BLANK = re.compile(r"[ \t\r\n]*")


class Number(str):
    """A JSON number with the digits as written."""

    __slots__ = ()


class Repeated(dict[str, Any]):
    """An object in which a key occurred twice; whoever reads it must refuse it."""


@dataclass(frozen=True, slots=True)
class Value:
    """A decoded JSON value, or why there is none. where is '' for a whole document, 'line 17' in NDJSON.

    suspicious: it may hold repeated keys or unusable characters, so `flaw` must be asked.
    """

    where: str
    value: Any = None
    problem: ReadingError | None = None
    suspicious: bool = False


def decode(data: bytes, max_bytes: int = MAX_BYTES) -> Iterator[Value]:
    """The JSON values of a file in order; a line that cannot be read is a Value with a problem. Never
    raises.
    """
    try:
        text, sound = _text(data, max_bytes)
    except ReadingError as problem:
        yield Value("", problem=problem)
        return
    start = _skip_blank(text, 0)
    first = _decode_one(text, start, "") if sound else Value("", problem=ReadingError("INVALID_UTF8"))
    if isinstance(first, tuple) and _skip_blank(text, first[1]) == len(text):
        yield first[0]
        return
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not _looks_like_lines(lines):
        yield first if isinstance(first, Value) else Value("", problem=ReadingError("INVALID_JSON"))
        return
    for number, line in lines:
        whole = sound or _is_utf8(line)
        where = f"line {number}"
        yield _line(line.strip(), where) if whole else Value(where, problem=ReadingError("INVALID_UTF8"))


def flaw(value: Any) -> str | None:
    """DUPLICATE_KEY or INVALID_TEXT when the value holds such a thing anywhere."""
    if isinstance(value, dict):
        if isinstance(value, Repeated):
            return "DUPLICATE_KEY"
        return next((found for pair in value.items() for part in pair if (found := flaw(part))), None)
    if isinstance(value, list):
        return next((found for part in value if (found := flaw(part))), None)
    if isinstance(value, str) and ("\0" in value or any("\ud800" <= c <= "\udfff" for c in value)):
        return "INVALID_TEXT"
    return None


def canonical(value: Any) -> bytes:
    """Sorted, compact JSON: the stable form whose digest names a resource that has no id."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _text(data: bytes, max_bytes: int) -> tuple[str, bool]:
    """The text, and whether all of it is UTF-8: what is not stays visible as lone surrogates, and in NDJSON spoils its line."""
    if len(data) > max_bytes:
        raise ReadingError("TOO_LARGE")
    sound = True
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError:
        text, sound = data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape"), False
    if not text.strip():
        raise ReadingError("EMPTY")
    return text, sound


def _decode_one(text: str, start: int, where: str) -> tuple[Value, int] | Value:
    """The value that begins at start and where it ends; or a Value with the problem."""
    repeated: list[bool] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(items)
        if len(made) == len(items):
            return made
        repeated.append(True)
        return Repeated(items)

    decoder = json.JSONDecoder(object_pairs_hook=pairs, parse_float=Number, parse_int=Number, parse_constant=_refuse)
    try:
        value, end = decoder.raw_decode(text, start)
    except RecursionError:
        return Value(where, problem=ReadingError("TOO_DEEP"))
    except ValueError:
        return Value(where, problem=ReadingError("INVALID_JSON"))
    escaped = _ESCAPED.search(text, start, end) is not None
    return Value(where, value, suspicious=bool(repeated) or escaped), end


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _line(line: str, where: str) -> Value:
    found = _decode_one(line, 0, where)
    if isinstance(found, Value):
        return found
    return found[0] if found[1] == len(line) else Value(where, problem=ReadingError("INVALID_JSON"))


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _skip_blank(text: str, start: int) -> int:
    found = _BLANK.match(text, start)
    return found.end() if found else start


def _looks_like_lines(lines: list[tuple[int, str]]) -> bool:
    """Whether most lines are objects of their own: NDJSON with a broken line is still NDJSON, pretty-
    printed JSON is not.
    """
    whole = sum(1 for _, line in lines if line.lstrip().startswith("{") and line.rstrip().endswith("}"))
    return len(lines) > 1 and 2 * whole > len(lines)
