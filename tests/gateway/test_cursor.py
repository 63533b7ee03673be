"""Cursors: whatever is altered, expired, another caller's, another patient's or another list's is one BAD_CURSOR."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cursor import LONGEST, BadCursor, CursorSeal, Gap, Walk, binding_of
from tests.gateway.asking import compiled, question
from tests.plain import Json

SEAL = CursorSeal.of(bytes(range(32)))
BOUND = binding_of(b"token", "issuer", "subject", "TREAT")
HERE = Walk(1_000, (b"pinned",), ("2024-01-01T00:00:00.000000", "01001", "id-1"))


def is_bad(cursor: object, binding: bytes = BOUND, now: float = 0, seal: CursorSeal = SEAL) -> bool:
    try:
        seal.open(cursor, binding, now)
    except BadCursor as error:
        assert str(error) == ""
        return True
    return False


places = st.none() | st.tuples(st.text(max_size=30), st.text(max_size=10), st.text(max_size=30))
marks = st.lists(st.binary(min_size=6, max_size=6), max_size=5).map(tuple)
walks = st.builds(
    Walk, st.integers(0, 2**40), marks, places, st.lists(st.builds(Gap, places, places, marks), max_size=3).map(tuple),
    st.booleans(), st.booleans(),
)  # fmt: skip


@given(walks, st.binary(max_size=40))
def test_a_sealed_walk_opens_to_itself(walk: Walk, binding: bytes) -> None:
    assert SEAL.open(SEAL.seal(walk, binding), binding, walk.expires) == walk


def test_a_cursor_tells_nothing_and_never_repeats() -> None:
    one, two = SEAL.seal(HERE, BOUND), SEAL.seal(HERE, BOUND)
    assert one != two
    assert b"2024" not in base64.urlsafe_b64decode(one) and b"id-1" not in base64.urlsafe_b64decode(one)


@given(st.data())
def test_any_altered_cursor_is_refused(data: st.DataObject) -> None:
    cursor = SEAL.seal(HERE, BOUND)
    at = data.draw(st.integers(0, len(cursor)))
    length = data.draw(st.integers(0, 3))
    altered = cursor[:at] + data.draw(st.text("AZaz09-_=!. \n%é", max_size=3)) + cursor[at + length :]
    assert is_bad(altered) is (altered != cursor)


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_a_cursor_with_any_one_byte_altered_is_refused(flip: int) -> None:
    raw = base64.urlsafe_b64decode(SEAL.seal(HERE, BOUND))
    for at in range(len(raw)):
        altered = raw[:at] + bytes([raw[at] ^ flip]) + raw[at + 1 :]
        assert is_bad(base64.urlsafe_b64encode(altered).decode())


def test_a_cursor_cut_anywhere_is_refused() -> None:
    cursor = SEAL.seal(HERE, BOUND)
    raw = base64.urlsafe_b64decode(cursor)
    assert all(is_bad(cursor[:at]) and is_bad(cursor[at:]) for at in range(1, len(cursor)))
    assert all(is_bad(base64.urlsafe_b64encode(raw[:at]).decode()) for at in range(len(raw)))


@given(
    st.none()
    | st.integers()
    | st.binary()
    | st.text(max_size=100)
    | st.lists(st.text())
    | st.text("ABCDEFabc0123-_=", min_size=20, max_size=200)
)
def test_whatever_is_no_cursor_is_refused_and_never_an_exception(cursor: object) -> None:
    assert is_bad(cursor)


@pytest.mark.parametrize("cursor", ["A" * (LONGEST + 1), "A" * LONGEST, "A" * 20, "\ud800" * 30, "é" * 30])
def test_cursors_of_odd_length_or_letters_are_refused(cursor: str) -> None:
    assert is_bad(cursor)


def test_a_cursor_lives_until_its_last_second() -> None:
    cursor = SEAL.seal(HERE, BOUND)
    assert not is_bad(cursor, now=1_000) and is_bad(cursor, now=1_000.5)


@pytest.mark.parametrize(
    "other",
    [
        binding_of(b"tokem", "issuer", "subject", "TREAT"),
        binding_of(b"token", "issues", "subject", "TREAT"),
        binding_of(b"token", "issuer", "another", "TREAT"),
        binding_of(b"token", "issuer", "subject", "PATRQT"),
        BOUND + b"x",
        BOUND[:-1],
        b"",
    ],
)
def test_a_cursor_of_another_patient_caller_purpose_or_list_is_refused(other: bytes) -> None:
    cursor = SEAL.seal(HERE, BOUND)
    assert is_bad(cursor, other) and not is_bad(cursor)


filters = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "period": st.none() | st.fixed_dictionaries({}, optional={"from": st.sampled_from(["2024", "2025"])}),
        "code": st.sampled_from([None, "E11", "E1", "J"]), "facility": st.sampled_from([None, "A", "B"]), "encounter": st.sampled_from(["A", "1"]),
    },
)  # fmt: skip
asked = st.tuples(st.sampled_from(["encounters", "conditions", "timeline"]), filters)


@given(asked, asked)
def test_a_cursor_of_another_field_or_filter_is_refused(one: tuple[str, Json], two: tuple[str, Json]) -> None:
    """As gateway/history.py binds: the caller's part, then the list's own."""

    def bound(field: str, given_: Json) -> bytes:
        kind = "TimelineFilter" if field == "timeline" else "RecordFilter"
        query = question(f"{field}(filter: $f) {{ edges {{ node {{ id }} }} }}", f", $f: {kind}")
        (connection,) = compiled(query, f=given_).subquery.connections
        return BOUND + connection.binding({"f": given_})

    cursor = SEAL.seal(HERE, bound(*one))
    assert is_bad(cursor, bound(*two)) is (one != two)


def test_a_cursor_opens_for_the_same_filter_however_it_is_written() -> None:
    inline = compiled(question('c: conditions(first: 5, filter: {code: "E11", facility: "A"}) { edges { cursor } }'))
    given_ = {"facility": "A", "code": "E11"}
    passed = compiled(question("conditions(filter: $f) { edges { late } }", ", $f: RecordFilter"), f=given_)
    assert inline.subquery.connections[0].binding({}) == passed.subquery.connections[0].binding({"f": given_})


def test_a_cursor_under_another_key_is_refused() -> None:
    assert is_bad(SEAL.seal(HERE, BOUND), seal=CursorSeal.of(bytes(32)))


def test_what_was_sealed_but_is_no_position_is_refused() -> None:
    nonce = bytes(12)
    for plain in (b"", b"\x90", b"\x01", b"\x94\xa1a\xa1b\xa1c\xa1d", b"garbage"):
        cursor = base64.urlsafe_b64encode(nonce + SEAL.cipher.encrypt(nonce, plain, BOUND)).decode()
        assert is_bad(cursor)


parts = st.lists(st.binary(max_size=4) | st.text(max_size=4) | st.none(), max_size=4)


@given(parts, parts)
def test_no_two_bindings_read_alike(one: list[bytes | str | None], two: list[bytes | str | None]) -> None:
    def plain(items: list[bytes | str | None]) -> list[bytes]:
        return [p if isinstance(p, bytes) else (p or "").encode() for p in items]

    assert (binding_of(*one) == binding_of(*two)) is (plain(one) == plain(two))
