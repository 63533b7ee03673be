"""Broken input for tests of the bhyt_xml feed, one fault a file; never part of the demo feed."""

from __future__ import annotations

import base64

from compose.demo.data.envelope import Style, envelope, table_text
from compose.demo.data.tables import Row

FACILITY = "01006"
_PLAIN = Style()
_PERSON: Row = {
    "STT": "1", "MA_BN": "TN26999999", "HO_TEN": "TRẦN VĂN HỎNG", "SO_CCCD": "001075123457",
    "NGAY_SINH": "197503140000", "GIOI_TINH": "1", "MA_QUOCTICH": "000", "MA_DANTOC": "01",
    "MA_NGHE_NGHIEP": "00000",
    "DIA_CHI": "Số 9 Bạch Mai, Phường Bạch Mai, Thành phố Hà Nội", "MATINH_CU_TRU": "01",
    "MAXA_CU_TRU": "00283",
    "MA_THE_BHYT": "DN4010119987654", "LY_DO_VV": "Ho, sốt", "CHAN_DOAN_VAO": "Theo dõi viêm phế quản",
    "CHAN_DOAN_RV": "Viêm phế quản cấp, không phân loại", "MA_BENH_CHINH": "J20.9", "MA_DOITUONG_KCB": "1.1",
    "NGAY_VAO": "202611100815", "NGAY_RA": "202611100930", "SO_NGAY_DTRI": "0", "KET_QUA_DTRI": "2",
    "MA_LOAI_RV": "1", "MA_LOAI_KCB": "01", "MA_KHOA": "K01", "MA_CSKCB": FACILITY,
}  # fmt: skip
_BOMB = '<!DOCTYPE {root} [\n<!ENTITY a "aaaaaaaaaa">\n{entities}\n]>\n'
_EXTERNAL = '<!DOCTYPE GIAMDINHHS [\n<!ENTITY file SYSTEM "file:///etc/passwd">\n]>\n'


def _row(visit: str, **changes: str) -> Row:
    return {"MA_LK": visit, **_PERSON, **changes}


def _file(name: str, content: str) -> str:
    return f"<FILEHOSO><LOAIHOSO>{name}</LOAIHOSO><NOIDUNGFILE>{content}</NOIDUNGFILE></FILEHOSO>"


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def _visit(*files: str) -> str:
    return f"<HOSO>{''.join(files)}</HOSO>"


def _summary(row: Row) -> str:
    return _file("XML1", _encoded(table_text("XML1", [row], _PLAIN)))


def _whole(facility: str, *files: str) -> bytes:
    return envelope(facility, "20261111", [_visit(*files)])


def _entities(levels: int) -> str:
    names = "abcdefghij"
    lines = [f'<!ENTITY {names[n]} "{f"&{names[n - 1]};" * 10}">' for n in range(1, levels)]
    return "\n".join(lines)


def _with_doctype(data: bytes, doctype: str, old: str, new: str) -> bytes:
    text = data.decode()
    head, rest = text.split("\n", 1)
    return f"{head}\n{doctype}{rest.replace(old, new, 1)}".encode()


def damaged_files() -> dict[str, bytes]:
    """Name -> bytes. Where a MA_LK can be read at all it is `HONG-<n>`; the patient is always the same."""
    good = _whole(FACILITY, _summary(_row("HONG-0")))
    visible = f"<MACSKCB>{FACILITY}</MACSKCB>"
    inner_bomb = _BOMB.format(root="TONG_HOP", entities=_entities(4))
    inner = table_text("XML1", [_row("HONG-9", GHI_CHU="CHO_THAY")], _PLAIN).replace("CHO_THAY", "&d;")
    return {
        "bad_base64.xml": _whole(FACILITY, _summary(_row("HONG-1")), _file("XML2", "@@@ not base64 !!")),
        "inner_not_xml.xml": _whole(FACILITY, _summary(_row("HONG-2")), _file("XML3", _encoded("MA_LK;STT\n1;2\n"))),
        "not_xml.xml": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< >>\nendobj\n",
        "empty_file.xml": b"",
        "truncated.xml": good[: len(good) * 2 // 3],
        "missing_visit_number.xml": _whole(FACILITY, _summary(_row(""))),
        "bad_date.xml": _whole(FACILITY, _summary(_row("HONG-3", NGAY_VAO="202613450815"))),
        "unknown_facility.xml": _whole("99999", _summary(_row("HONG-4", MA_CSKCB="99999"))),
        "facility_differs_from_envelope.xml": _whole(FACILITY, _summary(_row("HONG-5", MA_CSKCB="01003"))),
        "summary_twice.xml": _whole(
            FACILITY, _summary(_row("HONG-6")), _summary(_row("HONG-6", MA_BENH_CHINH="J18.9"))
        ),
        "summary_missing.xml": _whole(FACILITY, _file("XML8", "")),
        "billion_laughs.xml": _with_doctype(
            good, _BOMB.format(root="GIAMDINHHS", entities=_entities(10)), visible, "<MACSKCB>&j;</MACSKCB>"
        ),
        "external_entity.xml": _with_doctype(good, _EXTERNAL, visible, "<MACSKCB>&file;</MACSKCB>"),
        "inner_entity_bomb.xml": _whole(FACILITY, _file("XML1", _encoded(inner_bomb + inner))),
    }
