"""GIAMDINHHS -> HOSO -> FILEHOSO -> rows by column name, and XML0 which travels alone.

Nothing clinical is decided here.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

from lxml import etree

from node_agent.feeds.bhyt import markup
from node_agent.feeds.bhyt.columns import COLUMNS, OLD_NAMES, ROOTS
from node_agent.feeds.bhyt.faults import BhytError
from node_agent.feeds.bhyt.rows import NAME, Notes, Row

TABLE = re.compile(r"(?:XML)?0*(\d{1,2})", re.IGNORECASE | re.ASCII)
HOSO = re.compile(rb"<HOSO\b[^<>]{0,200}>(.*?)(</HOSO\s{0,9}>|\Z)", re.DOTALL)
HEADER = re.compile(rb"<(NGAYLAP|MACSKCB|SOLUONGHOSO)>([^<]{0,40})</")
CONTENT = re.compile(rb"<NOIDUNGFILE>([^<]*)")
NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


@dataclass(slots=True)
class Dossier:
    """One HOSO. `broken` keeps the text of tables that could not be read, only to find out whom the failure
    concerns.
    """

    position: int
    created: str = ""
    sender: str = ""
    tables: dict[str, list[Row]] = field(default_factory=dict)
    notes: Notes = field(default_factory=Notes)
    fault: BhytError | None = None
    broken: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Envelope:
    """A file read as far as it goes. `fault` is a fault of the file itself, at `line`."""

    dossiers: list[Dossier] = field(default_factory=list)
    notes: Notes = field(default_factory=Notes)
    fault: BhytError | None = None
    line: int = 1


def read(data: bytes) -> Envelope:
    """The dossiers of a file. Faults of one HOSO stay in that Dossier; a file that is no XML gives what can
    be saved.
    """
    try:
        root, repaired = markup.parse(data)
    except markup.BrokenXmlError as broken:
        return _pieces(data, broken)
    envelope = Envelope()
    if repaired:
        envelope.notes.add("XML_REPAIRED", "GIAMDINHHS")
    if ROOTS.get(markup.name_of(root)) == "XML0":
        dossier = Dossier(1)
        _read_table(dossier, "XML0", root)
        envelope.dossiers = [dossier]
        return envelope
    header = {markup.name_of(item): markup.text_of(item).strip() for item in _header(root)}
    nodes = list(markup.descendants(root, "HOSO"))
    if not nodes:
        files = list(markup.descendants(root, "FILEHOSO"))
        nodes = [parent for file in files[:1] if (parent := file.getparent()) is not None]
    if not nodes:
        known = markup.name_of(root) == "GIAMDINHHS"
        envelope.fault = BhytError("FILE_EMPTY" if known else "ENVELOPE_UNKNOWN")
        return envelope
    if markup.name_of(root) != "GIAMDINHHS":
        envelope.notes.add("ENVELOPE_NAME", "GIAMDINHHS")
    for position, node in enumerate(nodes, start=1):
        envelope.dossiers.append(_read_dossier(position, node, header.get("NGAYLAP", ""), header.get("MACSKCB", "")))
    if header.get("SOLUONGHOSO", "").isdigit() and int(header["SOLUONGHOSO"][:9]) != len(nodes):
        envelope.notes.add("COUNT_DIFFERS", "GIAMDINHHS/SOLUONGHOSO")
    return envelope


def _header(root: etree._Element) -> list[etree._Element]:
    return [item for item in markup.descendants(root, "NGAYLAP", "MACSKCB", "SOLUONGHOSO") if not len(item)]


def _pieces(data: bytes, broken: markup.BrokenXmlError) -> Envelope:
    """The whole HOSO elements of a file that is not well formed (cut short, one bad character): each stands
    on its own.
    """
    envelope = Envelope(line=broken.line)
    if broken.code == "XML_NOT_WELL_FORMED":
        header = {match[1].decode(): match[2].decode("utf-8", "replace").strip() for match in HEADER.finditer(data)}
        for position, piece in enumerate(HOSO.finditer(data), start=1):
            created, sender = header.get("NGAYLAP", ""), header.get("MACSKCB", "")
            try:
                node, _ = markup.parse(b"<HOSO>" + piece[1] + (b"</HOSO>" if piece[2] else b""))
                dossier = _read_dossier(position, node, created, sender)
            except markup.BrokenXmlError as fault:
                dossier = Dossier(position, created, sender, fault=fault)
                dossier.broken = [_readable(match[1]) for match in CONTENT.finditer(piece[1])]
                dossier.broken.append(piece[1].decode("utf-8", "replace"))
            envelope.dossiers.append(dossier)
        count = header.get("SOLUONGHOSO", "")
        lost = count.isdigit() and int(count[:9]) > len(envelope.dossiers)
        if not lost and any(dossier.fault for dossier in envelope.dossiers):
            return envelope
    envelope.fault = broken
    return envelope


def _read_dossier(position: int, node: etree._Element, created: str, sender: str) -> Dossier:
    dossier = Dossier(position, created, sender)
    for file in markup.descendants(node, "FILEHOSO"):
        kind = next(markup.descendants(file, "LOAIHOSO"), None)
        content = next(markup.descendants(file, "NOIDUNGFILE"), None)
        label = TABLE.fullmatch(markup.text_of(kind).strip()) if kind is not None else None
        table = f"XML{label[1]}" if label else None
        if content is None or (not len(content) and not markup.text_of(content).strip()):
            continue  # FILEHOSO without content: the table was not sent
        try:
            root = content[0] if len(content) else _decode(dossier, table, markup.text_of(content))
        except BhytError as fault:
            dossier.fault = dossier.fault or BhytError(fault.code, table)
            continue
        by_root = ROOTS.get(markup.name_of(root))
        if by_root and by_root != table:
            dossier.notes.add("TABLE_MISLABELLED", by_root)
        _read_table(dossier, by_root or table or "", root)
    return dossier


def _decode(dossier: Dossier, table: str | None, text: str) -> etree._Element:
    """The inner document of a NOIDUNGFILE: base64 (broken over lines or not), or XML written as text or
    CDATA.
    """
    stripped = text.strip().lstrip("\ufeff")
    if stripped.startswith("<"):
        data = stripped.encode("utf-8", "replace")
    else:
        try:
            data = base64.b64decode("".join(stripped.split()), validate=True)
        except (binascii.Error, ValueError):
            dossier.broken.append(_readable(stripped.encode("utf-8", "replace")))
            raise BhytError("BASE64_INVALID") from None
    try:
        root, repaired = markup.parse(data)
    except markup.BrokenXmlError:
        dossier.broken.append(data.decode("utf-8", "replace"))
        raise
    if repaired:
        dossier.notes.add("XML_REPAIRED", table or "?")
    return root


def _readable(damaged: bytes) -> str:
    """What a damaged base64 text still says up to the damage."""
    compact = b"".join(damaged.split())
    good = NOT_BASE64.split(compact, maxsplit=1)[0]
    return base64.b64decode(good[: len(good) // 4 * 4]).decode("utf-8", "replace")


def _read_table(dossier: Dossier, table: str, root: etree._Element) -> None:
    """Rows are the outermost elements that have a column of the table as a child; what wraps them may have
    any name.
    """
    if table not in COLUMNS:
        dossier.notes.add("TABLE_NOT_MAPPED", table if TABLE.fullmatch(table) else "?")
        return
    rows = dossier.tables.setdefault(table, [])
    pending = [root]
    while pending:
        element = pending.pop()
        children = [child for child in element if isinstance(child.tag, str)]
        if any(markup.name_of(child) in COLUMNS[table] for child in children):
            rows.append(Row(table, len(rows) + 1, _cells(dossier, table, children), dossier.notes))
        else:
            pending.extend(reversed(children))


def _cells(dossier: Dossier, table: str, children: list[etree._Element]) -> dict[str, str]:
    cells: dict[str, str] = {}
    old = OLD_NAMES.get(table, {})
    for child in children:
        name, value = markup.name_of(child), markup.text_of(child)
        name = old.get(name, name)
        if name in cells and cells[name].strip():
            if value.strip() and value.strip() != cells[name].strip():
                dossier.notes.add("FIELD_REPEATED", f"{table}/{name if NAME.fullmatch(name) else '?'}")
            continue
        cells[name] = value
    return cells
