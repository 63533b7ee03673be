"""Prints an answer as people read one: the patient, the timeline by day, and the ledger of who answered.

Every text goes to rich as Text, never as markup: what a hospital wrote cannot colour or steer the terminal. What one
record says is record_text.py; the words for enums are words.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from compose.demo.question import ASKED_AS
from compose.demo.record_text import date_text, record_lines, result_text
from compose.demo.words import COMPLETENESS, GENDER, KIND, OUTCOME, STATEMENT, both, vietnamese

Body = Mapping[str, Any]
Row = tuple[str, str, str, str]
NARROW = 100  # columns; below it a row's text stands under its head
SOUND = frozenset({"ANSWERED", "EMPTY", "NOT_HELD", "NOT_ASKED"})
_COMPLETENESS_STYLE = {"COMPLETE": "bold green", "UNCERTAIN": "bold yellow", "INCOMPLETE": "bold red"}
_UNDATED = "Không ghi ngày / undated"


def show_answer(console: Console, answer: Body) -> None:
    """Prints data of question.QUERY; a patient who was not located is said, never shown as an empty history."""
    found, coverage = answer["data"]["patient"]["patient"], answer["data"]["patient"]["coverage"]
    if found is not None:
        _show_patient(console, found)
        _show_results(console, found["observations"]["edges"])
        _show_timeline(console, found["timeline"])
    _show_ledger(console, coverage)


def show_errors(console: Console, answer: Body) -> None:
    """Prints the errors of an answer by code."""
    for error in answer.get("errors") or ():
        code = (error.get("extensions") or {}).get("code", "ERROR")
        console.print(_text(f"{code}: {error.get('message', '')}", "bold red"))


def _show_patient(console: Console, patient: Body) -> None:
    console.print()
    console.print(_rule("BỆNH SỬ THỐNG NHẤT / UNIFIED HISTORY", "bold"))
    who = [str(patient["name"] or "Không rõ tên / name unknown")]
    if patient["birthDate"]:
        who.append(f"sinh / born {date_text(patient['birthDate'])}")
    if patient["gender"]:
        who.append(both(GENDER, patient["gender"]))
    console.print(_text(" · ".join(who), "bold"))
    console.print(_text(f"Người hỏi / asked by: {ASKED_AS}", "dim"))
    edges = patient["allergies"]["edges"]
    _fact(console, "Dị ứng / Allergies", patient["allergyStatus"], edges)
    _fact(console, "Thuốc / Medicines", patient["medicationStatus"], ())


def _fact(console: Console, label: str, status: str, edges: Iterable[Body]) -> None:
    line = _text(f"{label}: ")
    line.append(f"{both(STATEMENT, status)} ({status})", style="bold red" if status == "UNKNOWN" else "bold")
    console.print(line)
    for edge in edges:
        lines = record_lines(edge["node"])
        when = date_text(edge["node"].get("recordedDate"))
        where = ", ".join(x for x in (edge["facility"]["name"], when) if x)
        console.print(_indented(f"• {'; '.join(lines)} ({where})"))


def _show_results(console: Console, edges: list[Body]) -> None:
    if not edges:
        return
    console.print()
    console.print(_rule("Kết quả mới nhất / Newest results"))
    for (facility, day), group in groupby(edges, key=lambda e: (e["facility"]["name"], _day(e["sortKey"]))):
        results = [result_text(edge["node"]) for edge in group]
        console.print(_text(f"{day}  {facility}", "cyan"))
        console.print(_indented("; ".join(results)))


def _show_timeline(console: Console, timeline: Body) -> None:
    console.print()
    console.print(_rule("Dòng thời gian, mới nhất trước / Timeline, newest first"))
    for day, edges in groupby(timeline["edges"], key=lambda edge: _day(edge["sortKey"])):
        console.print(_text(day, "bold underline"))
        rows = [_cells(edge) for edge in edges]
        if console.width >= NARROW:
            console.print(_wide_day(rows))
        else:
            _print_narrow_day(console, rows)
    if not timeline["edges"]:
        console.print(_text("Không có dòng nào / no rows"))
    if timeline["pageInfo"]["hasNextPage"]:
        console.print(_text("… còn dòng cũ hơn ở trang sau / older rows are on the next page", "dim"))


def _wide_day(rows: list[Row]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(width=5)
    table.add_column(ratio=22)
    table.add_column(ratio=20)
    table.add_column(ratio=62)
    table.expand = True
    for clock, facility, kind, text in rows:
        table.add_row(_text(clock, "dim"), _text(facility, "cyan"), _text(kind, "magenta"), _text(text))
    return table


def _print_narrow_day(console: Console, rows: list[Row]) -> None:
    for clock, facility, kind, text in rows:
        head = _text(f"{clock} " if clock else "", "dim")
        console.print(head.append(kind, style="magenta").append(" · ").append(facility, style="cyan"))
        console.print(_indented(text, 3))


def _cells(edge: Body) -> Row:
    """(clock, facility, kind, text) of a timeline row, with what the merge has to say about it."""
    marks = [
        "bản in ở nhiều nơi / also at " + ", ".join(f["name"] for f in edge["alsoAt"]) if edge["alsoAt"] else "",
        "cùng số, khác nội dung / same number, other content" if edge["conflict"] else "",
        "đến muộn / late" if edge["late"] else "",
    ]
    lines = [*record_lines(edge["node"]), *(f"[{mark}]" for mark in marks if mark)]
    clock = edge["sortKey"].partition("|")[0][11:16]
    return (
        clock if clock != "00:00" else "",
        edge["facility"]["name"],
        vietnamese(KIND, edge["node"]["kind"]),
        "\n".join(lines),
    )


def _show_ledger(console: Console, coverage: Body) -> None:
    console.print()
    console.print(_rule("Sổ trả lời / Ledger"))
    narrow = console.width < NARROW
    table = Table(show_edge=False, pad_edge=False, header_style="bold", expand=True)
    table.add_column("Cơ sở / Facility", ratio=3)
    table.add_column("Kết quả / Outcome", ratio=3)
    table.add_column("Bản ghi / Records" if not narrow else "Bản ghi", justify="right")
    table.add_column("ms", justify="right")
    table.add_column("Tính đến / As of", ratio=2 if narrow else None)
    if not narrow:
        table.add_column("Lời khuyên / Advice", ratio=5)
    for line in coverage["facilities"]:
        style = "green" if line["outcome"] in SOUND else "bold red"
        row = [
            _text(f"{line['facility']['code']} {line['facility']['name']}"),
            _text(_outcome(line), style),
            _text(str(line["records"])),
            _text("–" if line["tookMs"] is None else str(line["tookMs"])),
            _text(date_text(line["asOf"]) or "–"),
        ]
        table.add_row(*row, *([] if narrow else [_text(_advice(line))]))
    console.print(table)
    for line in coverage["facilities"] if narrow else ():
        console.print(_indented(f"{line['facility']['code']}: {_advice(line)}"))
    console.print()
    completeness = coverage["completeness"]
    whole = _text(f"{both(COMPLETENESS, completeness)} ({completeness})", _COMPLETENESS_STYLE.get(completeness, "bold"))
    console.print(whole.append(f"  {coverage['summary']} {coverage['summaryEn']}", style="not bold default"))
    counts = (
        f"Cơ sở / facilities: đăng ký / registered {coverage['registered']}, kết nối / connected {coverage['connected']},"
        f" chỉ mục mới / current {coverage['current']}, có người bệnh / located {coverage['located']}"
    )
    console.print(_text(counts))
    for vi, en in zip(coverage["notices"], coverage["noticesEn"], strict=True):
        console.print(_text(f"• {vi} {en}", "dim"))


def _outcome(line: Body) -> str:
    reason = f" · {line['reason']}" if line["reason"] else ""
    failed = f" · {line['failedItems']} tệp lỗi / failed items" if line["failedItems"] else ""
    return f"{vietnamese(OUTCOME, line['outcome'])} ({line['outcome']}{reason}){failed}"


def _advice(line: Body) -> str:
    """The ledger's advice, and the kinds whose outcome is worth a word: which lists an empty one proves nothing about."""
    told: dict[str, list[str]] = {}
    for kind in line["kinds"]:
        if kind["outcome"] not in ("ANSWERED", "EMPTY", line["outcome"]):
            told.setdefault(kind["outcome"], []).append(vietnamese(KIND, kind["kind"]))
    kinds = [f"{vietnamese(OUTCOME, outcome)} ({outcome}): {', '.join(names)}." for outcome, names in told.items()]
    return " ".join([line["advice"], line["adviceEn"], *kinds])


def _day(sort_key: str) -> str:
    return date_text(sort_key.partition("|")[0][:10]) or _UNDATED


def _rule(title: str, style: str = "blue") -> RenderableType:
    return Rule(Text(title, style="bold"), style=style, align="left")


def _indented(value: str, columns: int = 2) -> RenderableType:
    return Padding(_text(value), (0, 0, 0, columns), expand=False)


def _text(value: str, style: str = "") -> Text:
    """Plain text: control characters, which a terminal would obey, are left out."""
    return Text("".join(c for c in value if c.isprintable() or c == "\n"), style=style)
