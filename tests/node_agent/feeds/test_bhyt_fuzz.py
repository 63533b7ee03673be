"""parse never raises, whatever the bytes; and whatever it accepts fits the contract."""

from __future__ import annotations

import base64

from hypothesis import example, given, settings
from hypothesis import strategies as st

from node_agent.feeds.bhyt.columns import COLUMNS
from node_agent.feeds.bhyt_xml import BhytXmlFeed
from node_agent.records import ParsedFile
from tests.node_agent.feeds.bhyt_files import DRUG, FACILITY, SUMMARY, encoded, envelope, file, hoso, inner
from tests.node_agent.feeds.contract import problems

FEED = BhytXmlFeed([FACILITY])
NOTE = {"MA_LK": "LK1", "STT": "1", "DIEN_BIEN_LS": "CSST<M75_HA120/70>", "THOI_DIEM_DBLS": "202611100900"}
GOOD = envelope(
    hoso({"XML2": [DRUG], "XML5": [NOTE]}),
    hoso({"XML7": [{"MA_LK": "LK2", "CHAN_DOAN_RV": "x"}]}, MA_LK="LK2"),
)
INNER = inner("XML1", SUMMARY).encode()
VALUE = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "",
            "0",
            "1",
            "2",
            "LK1",
            "202611100815",
            "00000000",
            "CSST<M7_T_HA1/2_SP9.9.9>",
            "9" * 30,
            ";;a;",
            "I10;",
        ]
    ),
)


def check(parsed: ParsedFile) -> None:
    assert problems(parsed) == []
    assert parsed.units or parsed.errors


@given(st.binary(max_size=300))
@example(b"<GIAMDINHHS><HOSO/></GIAMDINHHS>")
@example(b"<?xml" * 50)
@example(b'<?xml version="1.0" encoding="foo"?><a/>')
@example(b"<!--")
@example(b"<HOSO><FILEHOSO><LOAIHOSO>XML1</LOAIHOSO><NOIDUNGFILE>QUJD\xff")
def test_arbitrary_bytes_never_raise(data: bytes) -> None:
    check(FEED.parse(data))


@given(
    st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, len(GOOD)),
)
@settings(max_examples=150, deadline=None)
def test_mutated_envelopes_never_raise(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(GOOD)
    for place, byte in changes:
        data[place] = byte
    check(FEED.parse(bytes(data)))
    check(FEED.parse(bytes(data[:cut])))


@given(st.lists(st.tuples(st.integers(0, len(INNER) - 1), st.integers(0, 255)), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_mutated_inner_documents_never_raise(changes: list[tuple[int, int]]) -> None:
    data = bytearray(INNER)
    for place, byte in changes:
        data[place] = byte
    check(FEED.parse(envelope(f"<HOSO>{file('XML1', base64.b64encode(bytes(data)).decode())}</HOSO>")))


@given(st.sampled_from(sorted(COLUMNS)), st.data())
@settings(max_examples=300, deadline=None)
def test_any_values_in_any_table_give_bodies_that_fit_the_contract(table: str, data: st.DataObject) -> None:
    columns = sorted(COLUMNS[table])
    chosen = data.draw(st.lists(st.sampled_from(columns), unique=True, max_size=len(columns)))
    row = {name: "".join(c for c in data.draw(VALUE) if c.isprintable()) for name in chosen} | {"MA_LK": "LK1"}
    if table == "XML0":
        check(FEED.parse(inner("XML0", {**SUMMARY, **row}).encode()))
    elif table == "XML1":
        check(FEED.parse(envelope(f"<HOSO>{file('XML1', encoded(inner('XML1', {**SUMMARY, **row})))}</HOSO>")))
    else:
        kind = data.draw(st.sampled_from(["01", "03", "08", "x"]))
        check(FEED.parse(envelope(hoso({table: [row, {**row, "STT": "2"}]}, MA_LOAI_KCB=kind))))
