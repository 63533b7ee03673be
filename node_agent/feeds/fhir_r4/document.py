"""DocumentReference and Composition -> DOCUMENT_REFERENCE: text where it is text, else its type and title."""

from __future__ import annotations

import base64
import binascii

from node_agent.feeds.fhir_r4.codes import EMPTY_CODE
from node_agent.feeds.fhir_r4.problem import ReadingError
from node_agent.feeds.fhir_r4.reader import Node, joined
from node_agent.feeds.fhir_r4.source import Draft, Source
from node_agent.feeds.fhir_r4.values import plain_text
from node_agent.records import Body
from schema.elements import RecordKind

_MARKUP = frozenset({"text/html", "application/xhtml+xml"})
_SECTIONS_DEEP = 20


def read_document(source: Source) -> Draft:
    """A document by reference. The first content is carried, further renditions are counted; pictures and
    PDF by title only.
    """
    node = source.node
    status = node.text("status")
    source.skip_when_in_error(status)
    contents = node.nodes("content")
    if len(contents) > 1:
        node.note_unmapped("content", len(contents) - 1)
    attachment = contents[0].node("attachment") if contents else None
    for extra in contents[1:]:
        for name in extra.data:
            extra.take(name)
    date = node.date("date")
    title = attachment.text("title") if attachment else None
    content_type = attachment.text("contentType") if attachment else None
    created = attachment.date("creation") if attachment else None
    context = node.node("context")
    if context:
        context.take("encounter")
    body: Body = {
        "type": node.code("type") or dict(EMPTY_CODE),
        "status": status,
        "date": date or created,
        "title": node.text("description") or title,
        "authors": source.practitioners("author"),
        "contentType": content_type,
        "text": _attached_text(attachment, content_type) if attachment else None,
        "sections": [],
    }
    return Draft(RecordKind.DOCUMENT_REFERENCE, body, date or created)


def read_composition(source: Source) -> Draft:
    """A document in sections; nested sections follow their parent as 'parent / child'."""
    node = source.node
    status = node.text("status")
    source.skip_when_in_error(status)
    date = node.date("date")
    sections: list[Body] = []
    _sections(node, "", sections, 0)
    body: Body = {
        "type": node.code("type") or dict(EMPTY_CODE),
        "status": status,
        "date": date,
        "title": node.text("title"),
        "authors": source.practitioners("author"),
        "contentType": None,
        "text": None,
        "sections": sections,
    }
    return Draft(RecordKind.DOCUMENT_REFERENCE, body, date)


def _sections(node: Node, above: str, out: list[Body], depth: int) -> None:
    if depth > _SECTIONS_DEEP:
        raise ReadingError("TOO_DEEP", node.at("section"))
    for section in node.nodes("section"):
        code, empty = section.concept("code"), section.concept("emptyReason")
        own = section.text("title") or (code.words() if code else None) or ""
        title = joined([above, own], " / ") or ""
        narrative = section.node("text")
        markup = narrative.text("div") if narrative else None
        if narrative:
            narrative.take("status")
        text = (plain_text(markup) if markup else None) or (empty.words() if empty else None)
        section.take("entry")  # the entries are records of their own in the same bundle
        if text:
            out.append({"position": len(out) + 1, "title": title, "text": text})
        _sections(section, title, out, depth + 1)


def _attached_text(attachment: Node, content_type: str | None) -> str | None:
    """The words of an inline text attachment; bytes of another type are counted, a url is not fetched."""
    data = attachment.text("data")
    for silent in ("size", "hash"):
        attachment.take(silent)
    if data is None:
        return None
    kind, _, parameters = (content_type or "").lower().partition(";")
    if not kind.strip().startswith("text/") and kind.strip() not in _MARKUP:
        attachment.note_unmapped("data")
        return None
    charset = parameters.partition("charset=")[2].split(";")[0].strip(" \"'") or "utf-8"
    try:
        text = base64.b64decode("".join(data.split()), validate=True).decode(charset)
    except (binascii.Error, ValueError, LookupError):
        raise ReadingError("WRONG_VALUE", attachment.at("data")) from None
    if "\0" in text:
        raise ReadingError("INVALID_TEXT", attachment.at("data"))
    return plain_text(text) if kind.strip() in _MARKUP else text or None
