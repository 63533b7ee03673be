"""What is wrong with a program's settings, in Vietnamese and English, for both programs alike. Reads no file.

Says the place and the rule, never the value: it could be a database's password.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

# By pydantic's error type; {…} are the rule's own words.
RULES = {
    "missing": ("thiếu, phải có", "is missing, and required"),
    "literal_error": ("phải là {expected}", "must be {expected}"),
    "enum": ("phải là {expected}", "must be {expected}"),
    "string_pattern_mismatch": ("không đúng dạng {pattern}", "does not have the form {pattern}"),
    "string_type": ("phải là chuỗi", "must be text"),
    "string_too_short": ("không được trống", "must not be empty"),
    "too_short": ("cần ít nhất {min_length} mục", "needs at least {min_length}"),
    "path_type": ("phải là đường dẫn", "must be a path"),
    "bool_parsing": ("phải là true hoặc false", "must be true or false"),
    "bool_type": ("phải là true hoặc false", "must be true or false"),
    "int_parsing": ("phải là số nguyên", "must be a whole number"),
    "int_type": ("phải là số nguyên", "must be a whole number"),
    "int_from_float": ("phải là số nguyên", "must be a whole number"),
    "float_parsing": ("phải là số", "must be a number"),
    "float_type": ("phải là số", "must be a number"),
    "greater_than": ("phải lớn hơn {gt}", "must be greater than {gt}"),
    "greater_than_equal": ("ít nhất là {ge}", "must be at least {ge}"),
    "less_than": ("phải nhỏ hơn {lt}", "must be less than {lt}"),
    "less_than_equal": ("nhiều nhất là {le}", "must be at most {le}"),
    "tuple_type": ("phải là danh sách", "must be a list"),
    "dict_type": ("phải là bảng", "must be a table"),
    "model_type": ("phải là bảng", "must be a table"),
}


def faults(error: ValidationError, known: Collection[str]) -> tuple[str, str]:
    """Every wrong key with its rule. `known`: the names of all settings, for whoever misspelt one.

    A validator of ours raises ValueError(vietnamese, english).
    """
    found: Sequence[Any] = error.errors(include_input=False, include_url=False)
    places = [tuple(map(str, each["loc"])) for each in found]
    told = [
        (".".join(place), _rule(each, known))
        for each, place in zip(found, places, strict=True)
        # A list whose only item is wrong counts as empty too; that would send people looking for the wrong thing.
        if each["type"] != "too_short" or not any(other[: len(place)] == place != other for other in places)
    ]
    vi, en = ("; ".join(f"{place}: {rule[i]}" if place else rule[i] for place, rule in told) for i in (0, 1))
    return vi, en


def _rule(each: Any, known: Collection[str]) -> tuple[str, str]:
    if each["type"] == "extra_forbidden":
        near = get_close_matches(str(each["loc"][-1]), known, 1)
        vi, en = (f"; có phải {near[0]}?", f"; do you mean {near[0]}?") if near else ("", "")
        return f"không có tên cấu hình này{vi}", f"there is no such setting{en}"
    context = each.get("ctx", {})
    if each["type"] == "value_error" and len(context["error"].args) == 2:
        vi, en = context["error"].args
        return vi, en
    vi, en = RULES.get(each["type"], (each["msg"], each["msg"]))
    return vi.format(**context), en.format(**context)


def unreadable(error: ValueError) -> str:
    """Why a file or variable could not even be read: the parser's own words where they hold no value, else its type."""
    return str(error) if isinstance(error, tomllib.TOMLDecodeError | SettingsError) else type(error).__name__
