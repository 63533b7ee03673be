"""The inbox of a bhyt_xml hospital: its files in order, including what it sends again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from compose.demo.data.envelope import INLINE, Style, check_in_file, envelope, visit_text
from compose.demo.data.facilities import Facility
from compose.demo.data.oddities import disturb
from compose.demo.data.papers import check_in, papers_of
from compose.demo.data.people import Person
from compose.demo.data.tables import Tables, tables_of
from compose.demo.data.visits import Visit

STYLES = {
    "01003": Style(cdata=True, wrapped=True, empty_files=("XML8", "XML10", "XML11", "XML13", "XML14")),
    "01006": Style(indented=True, self_closing=True, empty_lists=("XML6", "XML9", "XML15")),
    "01025": Style(swapped_money=True, wrapped=True),
}


@dataclass(frozen=True)
class InboxFile:
    """One file as it arrives. `visits` are the MA_LK or Encounter ids inside; `oddities` are for tests."""

    facility: str
    name: str
    data: bytes
    visits: tuple[str, ...]
    oddities: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resend:
    """A visit sent more than once: `kind` says how; `not_resent` are tables only the older version had."""

    visit: str
    kind: str
    not_resent: tuple[str, ...] = ()


@dataclass
class Export:
    """All files of one hospital in order, and per visit the rows a faithful store shows in the end."""

    files: list[InboxFile] = field(default_factory=list)
    final: dict[str, Tables] = field(default_factory=dict)
    resends: list[Resend] = field(default_factory=list)


@dataclass(frozen=True)
class _Item:
    day: date
    rank: int
    label: str
    data: bytes
    visits: tuple[str, ...]
    oddities: tuple[str, ...] = ()


def export(facility: Facility, visits: list[Visit], people: dict[str, Person], as_of: date) -> Export:
    """Files sorted by the day of sending; the name starts with the sequence number."""
    result, items = Export(), []
    finished = [visit for visit in visits if not visit.plan.still_open]
    again = _resend_kinds(facility, finished, people)
    batch = _batch(facility, finished, again)
    for place, visit in enumerate(finished):
        tables = tables_of(visit) | papers_of(visit, people)
        result.final[visit.number] = tables
        if visit in batch:
            continue
        style, oddities = _style(facility, place)
        if visit.number in again:
            resend = Resend(visit.number, again[visit.number], _missing(again[visit.number]))
            result.resends.append(resend)
            items += _versions(facility, visit, tables, style, resend, as_of)
        else:
            items.append(_single(facility, visit, tables, style, _lag(visit, as_of), oddities))
        if visit.is_stay and visit.serial % 4 == 0:
            items.append(_arrival(facility, [visit]))
    if batch:
        items.append(_together(facility, batch, result.final, as_of))
    items += [_arrival(facility, group) for group in _open_groups(facility, visits)]
    items.sort(key=lambda item: (item.day, item.rank, item.visits, item.label))
    for sequence, item in enumerate(items, start=1):
        name = f"{sequence:05d}-{item.label}.xml"
        result.files.append(InboxFile(facility.code, name, item.data, item.visits, item.oddities))
    return result


def _lag(visit: Visit, as_of: date) -> date:
    return min(visit.sent + timedelta(days=visit.serial % 3), as_of)


def _style(facility: Facility, place: int) -> tuple[Style, tuple[str, ...]]:
    style = STYLES[facility.code]
    if facility.code == "01025" and place == 0:
        return replace(style, old_summary_root=True), ("old_summary_root",)
    if facility.code == "01025" and place == 7:
        return replace(style, carriage=INLINE), ("inline_xml",)
    if facility.code == "01006" and place % 6 == 2:
        return replace(style, cdata=True), ("cdata",)
    return style, ()


def _made(facility: Facility, day: date, serial: int) -> str:
    """NGAYLAP: eight digits by rule, twelve or fourteen in some programs."""
    if facility.code == "01006" and serial % 9 == 0:
        return f"{day:%Y%m%d}1730"
    if facility.code == "01025" and serial % 4 == 0:
        return f"{day:%Y%m%d}173000"
    return f"{day:%Y%m%d}"


def _single(
    facility: Facility,
    visit: Visit,
    tables: Tables,
    style: Style,
    day: date,
    oddities: tuple[str, ...],
    rank: int = 1,
) -> _Item:
    changed, more = disturb(visit, tables)
    data = envelope(facility.code, _made(facility, day, visit.serial), [visit_text(changed, style)])
    label = f"3176-KMH_{day:%Y%m%d}-{day:%Y%m%d}" if facility.code == "01025" else visit.number
    return _Item(day, rank, label, data, (visit.number,), tuple(sorted({*oddities, *more})))


def _resend_kinds(facility: Facility, visits: list[Visit], people: dict[str, Person]) -> dict[str, str]:
    """The kinds of resend each hospital shows, given to early visits with drugs and results."""
    wanted = {
        "01003": ("resent_without_xml4", "corrected_same_day"), "01006": ("corrected", "resent_without_xml4"),
        "01025": ("old_version_arrives_late", "corrected"),
    }[facility.code]  # fmt: skip
    fitting = [
        visit
        for visit in visits
        if visit.person.story in {"ordinary", "shared"} and visit.drugs and {"XML4"} <= tables_of(visit).keys()
    ]
    return {visit.number: kind for visit, kind in zip(fitting[4::6], wanted, strict=False)}


def _missing(kind: str) -> tuple[str, ...]:
    return ("XML4",) if kind == "resent_without_xml4" else ()


def _versions(
    facility: Facility, visit: Visit, tables: Tables, style: Style, resend: Resend, as_of: date
) -> list[_Item]:
    """Two files for one visit; the later NGAYLAP, then the later place in the inbox, is right."""
    first = _lag(visit, as_of)
    second = min(first + timedelta(days=0 if resend.kind == "corrected_same_day" else 4), as_of)
    early, late = (
        _draft(tables),
        {name: rows for name, rows in tables.items() if name not in resend.not_resent},
    )
    if resend.not_resent:
        early = tables
    before = _single(facility, visit, early, style, first, (resend.kind, "superseded"), rank=1)
    after = _single(facility, visit, late, style, second, (resend.kind,), rank=2)
    if resend.kind == "old_version_arrives_late":
        # NGAYLAP stays old; only the place in the inbox moves behind the correction.
        before = replace(before, day=second + timedelta(days=1), rank=3)
    return [before, after]


def _draft(tables: Tables) -> Tables:
    """An earlier, wrong version: another main diagnosis and one drug row less."""
    draft = {name: [dict(row) for row in rows] for name, rows in tables.items()}
    draft["XML1"][0] |= {"MA_BENH_CHINH": "R51", "CHAN_DOAN_RV": "Đau đầu", "KET_QUA_DTRI": "3"}
    draft["XML2"] = draft["XML2"][:-1]
    if not draft["XML2"]:
        del draft["XML2"]
    return draft


def _batch(facility: Facility, visits: list[Visit], again: dict[str, str]) -> list[Visit]:
    """Three visits of 01025 go in one monthly file with several HOSO."""
    if facility.code != "01025":
        return []
    usual = [v for v in visits if v.person.story in {"ordinary", "shared"} and v.number not in again]
    return usual[10:13]


def _together(facility: Facility, visits: list[Visit], final: dict[str, Tables], as_of: date) -> _Item:
    day = min(max(visit.sent for visit in visits) + timedelta(days=2), as_of)
    changed = [disturb(visit, final[visit.number]) for visit in visits]
    texts = [visit_text(tables, STYLES[facility.code]) for tables, _ in changed]
    odd = {"several_visits", *(oddity for _, oddities in changed for oddity in oddities)}
    numbers = tuple(visit.number for visit in visits)
    data = envelope(facility.code, f"{day:%Y%m%d}", texts)
    return _Item(day, 1, f"3176-KMH_{visits[0].sent:%Y%m%d}-{day:%Y%m%d}", data, numbers, tuple(sorted(odd)))


def _arrival(facility: Facility, visits: list[Visit]) -> _Item:
    rows = [check_in(visit) | {"STT": str(place)} for place, visit in enumerate(visits, start=1)]
    data = check_in_file(rows, STYLES[facility.code])
    numbers = tuple(visit.number for visit in visits)
    return _Item(max(v.start for v in visits).date(), 0, f"checkin-{numbers[0]}", data, numbers, ("check_in",))


def _open_groups(facility: Facility, visits: list[Visit]) -> Iterable[list[Visit]]:
    still_open = [visit for visit in visits if visit.plan.still_open]
    if facility.code == "01006" and len(still_open) > 1:
        return [still_open]
    return [[visit] for visit in still_open]
