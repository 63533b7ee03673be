"""Bytes -> an XML tree, hardened: no entities, DTD, network or huge nodes; repairs for what HIS get wrong.

What the elements mean lives in envelope.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from node_agent.feeds.bhyt.faults import BhytError

DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
VITALS = re.compile(r"(CSST\s*)<([^<>]{0,400})>")
STRAY_LESS_THAN = re.compile(r"<(?![A-Za-z/!?_:])")
STRAY_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9A-Fa-f]{1,6});)")
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
CDATA_START, CDATA_END = "<![CDATA[", "]]>"


class BrokenXmlError(BhytError):
    """Not readable even after repair; `line` is where the parser stopped."""

    def __init__(self, code: str, line: int) -> None:
        super().__init__(code)
        self.line = line


def parse(data: bytes) -> tuple[etree._Element, bool]:
    """The root element, and whether the text had to be repaired first.

    Raises BrokenXmlError (DOCTYPE_REFUSED included).
    """
    if _declares_doctype(data):
        raise BrokenXmlError("DOCTYPE_REFUSED", 1)
    try:
        return _strict(data), False
    except etree.XMLSyntaxError as error:
        first = error
    if (repaired := _repair(data)) is not None:
        try:
            return _strict(repaired), True
        except etree.XMLSyntaxError:
            pass
    code = "FILE_TOO_LARGE" if "Resource limit" in str(first) else "XML_NOT_WELL_FORMED"
    raise BrokenXmlError(code, first.lineno or 1)


def name_of(element: etree._Element) -> str:
    """The element's name in capitals, without namespace or prefix."""
    return str(element.tag).rpartition("}")[2].upper()


def descendants(element: etree._Element, *names: str) -> Iterator[etree._Element]:
    """Elements of those names below `element`, in document order."""
    return (child for child in element.iterdescendants() if isinstance(child.tag, str) and name_of(child) in names)


def text_of(element: etree._Element) -> str:
    """All the text inside an element; CDATA reads as text."""
    return "".join(str(part) for part in element.itertext())


def _strict(data: bytes) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    root = etree.fromstring(data, parser)
    if root.getroottree().docinfo.internalDTD is not None:
        raise BrokenXmlError("DOCTYPE_REFUSED", 1)
    return root


def _repair(data: bytes) -> bytes | None:
    """The text with a wrong encoding declaration, stray `<` and `&` and control characters put right.

    None if it is not UTF-8.

    The annex writes vital signs as CSST<M75_T37…>, and some exporters forget to escape that `<`.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    text = FORBIDDEN.sub("", DECLARATION.sub("", text))
    return "".join(_outside_cdata(text)).encode()


def _outside_cdata(text: str) -> Iterator[str]:
    """The text with strays escaped outside CDATA. Scanned by hand: a pattern is quadratic on unclosed sections."""
    place = 0
    while True:
        start = text.find(CDATA_START, place)
        end = text.find(CDATA_END, start) if start >= 0 else -1
        if end < 0:
            yield _escape_strays(text[place:])
            return
        yield _escape_strays(text[place:start])
        place = end + len(CDATA_END)
        yield text[start:place]


def _escape_strays(text: str) -> str:
    text = VITALS.sub(r"\1&lt;\2&gt;", text)
    return STRAY_AMPERSAND.sub("&amp;", STRAY_LESS_THAN.sub("&lt;", text))


def _declares_doctype(data: bytes) -> bool:
    """Whether the prolog of an ASCII-compatible document holds <!DOCTYPE; seen before any parser touches
    the entities.
    """
    place = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    while True:
        while place < len(data) and data[place] in b" \t\r\n":
            place += 1
        if data.startswith(b"<?", place):
            end = data.find(b"?>", place)
        elif data.startswith(b"<!--", place):
            end = data.find(b"-->", place)
        else:
            return data[place : place + 9].upper() == b"<!DOCTYPE"
        if end < 0:
            return False
        place = end + 2
