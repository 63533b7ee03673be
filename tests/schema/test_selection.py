"""Reading selections and arguments, against graphql-core's own reading where it has one."""

from __future__ import annotations

import time
from typing import Any

import pytest
from graphql import FieldNode, OperationDefinitionNode, parse, parse_value
from hypothesis import given
from hypothesis import strategies as st

from schema.selection import Scope, condition_variables, defaults_of, fragments_of, reader


def scope(text: str, **booleans: bool) -> tuple[Scope, FieldNode]:
    """The scope of a document and its operation's first field."""
    ast = parse(text)
    operation = next(d for d in ast.definitions if isinstance(d, OperationDefinitionNode))
    field = operation.selection_set.selections[0]
    assert isinstance(field, FieldNode)
    return Scope(fragments_of(ast), booleans), field


def keys(text: str, type_name: str = "T", abstract: frozenset[str] = frozenset(), **booleans: bool) -> list[str]:
    made, field = scope(text, **booleans)
    return [s.key for s in made.collect([field], type_name, abstract)]


def test_fields_come_by_response_key_in_the_order_they_are_first_met() -> None:
    assert keys("{f{b a:c a ... {d} b e}}") == ["b", "a", "d", "e"]


def test_merged_duplicates_keep_all_their_nodes() -> None:
    made, field = scope("{f{x{a} ...{x{b}} ...X}} fragment X on T{x{a c}}")
    (selected,) = made.collect([field], "T")
    assert len(selected.nodes) == 3
    assert [s.key for s in made.collect(selected.nodes, "X")] == ["a", "b", "c"]


def test_fragments_count_only_on_the_type_or_its_interfaces() -> None:
    text = "{f{...on T{a} ...on U{b} ...on I{c} ...F ...G ...{d}}} fragment F on U{e ...on T{h}} fragment G on I{g ...on T{i}}"
    assert keys(text) == ["a", "d"]
    assert keys(text, "T", frozenset({"I"})) == ["a", "c", "g", "i", "d"]


@pytest.mark.parametrize("yes", [True, False])
def test_include_and_skip_decide_on_fields_spreads_and_inline_fragments(yes: bool) -> None:
    text = """query($v: Boolean!) { f { a @include(if: $v) b @skip(if: $v) ...F @include(if: $v) ... @skip(if: $v) { d }
      e @include(if: true) g @include(if: false) h @skip(if: true) i @skip(if: false) j @include(if: true) @skip(if: $v)
      k @include(if: $v) @skip(if: $v) } } fragment F on T { c }"""
    assert keys(text, v=yes) == (["a", "c", "e", "i"] if yes else ["b", "d", "e", "i", "j"])


def test_a_field_left_out_once_and_asked_once_is_there() -> None:
    assert keys("{f{a @skip(if: true) {x} a{y}}}") == ["a"]
    made, field = scope("{f{a @skip(if: true) {x} a{y}}}")
    assert [s.key for s in made.collect(made.collect([field], "T")[0].nodes, "A")] == ["y"]


def test_a_spread_left_out_does_not_hide_the_same_spread_asked_later() -> None:
    assert keys("{f{...F @skip(if: true) ...F}} fragment F on T{a}") == ["a"]
    assert keys("{f{...on T{...F @include(if: false)} ...F}} fragment F on T{a}") == ["a"]


def test_fragments_that_spread_each_other_twice_are_walked_once() -> None:
    text = (
        "{f{...F0}}"
        + "".join(f"fragment F{i} on T{{...F{i + 1} ...F{i + 1}}}" for i in range(60))
        + "fragment F60 on T{a}"
    )
    start = time.perf_counter()
    assert keys(text) == ["a"]
    assert time.perf_counter() - start < 1


def test_condition_variables_are_found_wherever_they_stand() -> None:
    text = """query($a: Boolean!) { f @include(if: $a) { ...F @skip(if: $b) ... @include(if: $c) { x { y @skip(if: $d) } } } }
      fragment F on T { z @include(if: $e) w(n: $not) @include(if: true) @other(if: $not) }"""
    assert condition_variables(parse(text)) == ("a", "b", "c", "d", "e")


def test_defaults_are_plain_json() -> None:
    text = 'query($a: Int = 5, $b: [K!] = [X, Y], $c: F = {x: {y: "z"}, n: null}, $d: Int, $e: S = null) { f }'
    operation = parse(text).definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    assert defaults_of(operation) == {"a": 5, "b": ["X", "Y"], "c": {"x": {"y": "z"}, "n": None}, "e": None}


def test_an_argument_is_read_from_literals_variables_and_both() -> None:
    assert reader(None, 20)({}) == 20 and reader(None)({}) is None
    assert reader(parse_value("$n"), 20)({"n": 5}) == 5
    assert reader(parse_value("$n"), 20)({}) == 20
    assert reader(parse_value("$n"), 20)({"n": None}) is None
    assert reader(parse_value("null"), 20)({}) is None
    assert reader(parse_value('{a: [1, "x"], k: ENUM, b: true}'))({}) == {"a": [1, "x"], "k": "ENUM", "b": True}
    assert reader(parse_value("{a: {b: $n}, l: [$n, 2]}"))({"n": 1}) == {"a": {"b": 1}, "l": [1, 2]}


def test_a_field_whose_variable_is_not_given_is_not_there() -> None:
    read = reader(parse_value("{a: $x, b: {c: $x, d: $y}, e: [$x, 1]}"))
    assert read({}) == {"b": {}, "e": [None, 1]}
    assert read({"x": None, "y": 0}) == {"a": None, "b": {"c": None, "d": 0}, "e": [None, 1]}


def test_a_constant_is_not_worked_out_again_and_variables_never_stick() -> None:
    read = reader(parse_value("{a: $x}"))
    assert read({"x": 1}) == {"a": 1} and read({"x": 2}) == {"a": 2} and read({}) == {}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.text('ab"\\\n é😀', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.from_regex("[a-z]{1,4}", fullmatch=True), inner, max_size=3)
    ),
    max_leaves=8,
)


def literal(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{k}:{literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(literal, value)) + "]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    return (
        {None: "null", True: "true", False: "false"}[value]
        if (value in (None, True, False) and not isinstance(value, int | float)) or isinstance(value, bool)
        else str(value)
    )


@given(json_values)
def test_a_literal_and_a_variable_of_the_same_value_read_the_same(value: Any) -> None:
    assert reader(parse_value(literal(value)))({}) == value
    assert reader(parse_value("{a: $v}"))({"v": value}) == {"a": value}
