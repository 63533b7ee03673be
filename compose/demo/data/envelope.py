"""Rows as XML text: table documents and the GIAMDINHHS envelope; chooses no content."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape

from compose.demo.data.layouts import LAYOUTS, columns_of
from compose.demo.data.tables import Row, Tables

# XML0 travels alone and XML12 is never a file.
ORDER = tuple(f"XML{number}" for number in (*range(1, 12), 13, 14, 15))
OLD_SUMMARY_ROOT = "CHI_TIEU_TONG_HOP"
BASE64, INLINE = "base64", "inline"


@dataclass(frozen=True)
class Style:
    """How one export program writes: all of these differ between real products."""

    cdata: bool = False
    indented: bool = False
    wrapped: bool = False
    swapped_money: bool = False
    self_closing: bool = False
    empty_files: tuple[str, ...] = ()
    empty_lists: tuple[str, ...] = ()
    old_summary_root: bool = False
    carriage: str = BASE64


def table_text(table: str, rows: Iterable[Row], style: Style) -> str:
    """The inner document of one table, without an XML declaration, as real exports have it."""
    layout = LAYOUTS[table]
    columns = columns_of(table, swapped_money=style.swapped_money)
    wrappers = list(layout.wrappers)
    if table == "XML1" and style.old_summary_root:
        wrappers[0] = OLD_SUMMARY_ROOT
    line = "\n" if style.indented else ""
    documents = []
    for row in rows:
        unknown = row.keys() - set(columns)
        if unknown:
            raise ValueError(f"{table} has no column {sorted(unknown)}")
        cells = line.join(_cell(column, row.get(column, ""), style) for column in columns)
        documents.append(f"<{wrappers[-1]}>{line}{cells}{line}</{wrappers[-1]}>")
    text = line.join(documents)
    for wrapper in reversed(wrappers[:-1]):
        text = f"<{wrapper}>{line}{text}{line}</{wrapper}>"
    return text


def _cell(column: str, value: str, style: Style) -> str:
    if not value:
        return f"<{column}/>" if style.self_closing else f"<{column}></{column}>"
    if style.cdata and not value.isdigit():
        return f"<{column}><![CDATA[{value}]]></{column}>"
    return f"<{column}>{escape(value)}</{column}>"


def visit_text(tables: Tables, style: Style) -> str:
    """One HOSO. A key such as XML13_QD3176 chooses a layout; LOAIHOSO is always the plain table name."""
    layouts = {name.partition("_")[0]: name for name in tables}
    files = []
    for name in ORDER:
        if name in layouts:
            files.append(_file(name, table_text(layouts[name], tables[layouts[name]], style), style))
        elif name in style.empty_files:
            files.append(f"<FILEHOSO><LOAIHOSO>{name}</LOAIHOSO><NOIDUNGFILE></NOIDUNGFILE></FILEHOSO>")
        elif name in style.empty_lists:
            files.append(_file(name, table_text(name, [], style), style))
    joined = "\n".join(files)
    return f"<HOSO>\n{joined}\n</HOSO>"


def _file(name: str, text: str, style: Style) -> str:
    if style.carriage == INLINE:
        content = text
    else:
        encoded = base64.b64encode(text.encode("utf-8")).decode("ascii")
        content = encoded
        if style.wrapped:
            lines = "\n".join(encoded[at : at + 76] for at in range(0, len(encoded), 76))
            content = f"\n{lines}\n"
    return f"<FILEHOSO>\n<LOAIHOSO>{name}</LOAIHOSO>\n<NOIDUNGFILE>{content}</NOIDUNGFILE>\n</FILEHOSO>"


def envelope(facility: str, made: str, visits: Iterable[str]) -> bytes:
    """GIAMDINHHS with THONGTINDONVI and THONGTINHOSO; `made` is NGAYLAP as the hospital writes it."""
    texts = list(visits)
    body = "\n".join(texts)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<GIAMDINHHS xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xmlns:xsd="http://www.w3.org/2001/XMLSchema">\n'
        f"<THONGTINDONVI><MACSKCB>{facility}</MACSKCB></THONGTINDONVI>\n"
        f"<THONGTINHOSO>\n<NGAYLAP>{made}</NGAYLAP>\n<SOLUONGHOSO>{len(texts)}</SOLUONGHOSO>\n"
        f"<DANHSACHHOSO>\n{body}\n</DANHSACHHOSO>\n</THONGTINHOSO>\n<CHUKYDONVI/>\n</GIAMDINHHS>\n"
    ).encode()


def check_in_file(rows: Iterable[Row], style: Style) -> bytes:
    """XML0 travels alone, outside any GIAMDINHHS; CHUKYDONVI follows its list."""
    text = table_text("XML0", rows, style)
    root = LAYOUTS["XML0"].wrappers[0]
    text = text.removesuffix(f"</{root}>") + f"<CHUKYDONVI/></{root}>"
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()
