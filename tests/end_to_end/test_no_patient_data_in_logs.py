"""Canaries: a city is worked with, well and badly, and no log of any process holds a name, a number or a diagnosis."""

from __future__ import annotations

import base64
import re
from datetime import datetime
from pathlib import Path

import httpx

from benchmarks import hospital
from compose.demo.launch import NodeSpec, launch, wait_for
from gateway.access.callers import Role
from schema.identity import IdentifierKind, canonical

# Whatever could lead to the one patient of this city.
CANARIES = (hospital.CCCD, "TRẦN VĂN BÌNH", "19850312", "1985-03-12", "BN000001", "Glucophage", "tăng huyết áp")


def damaged(content: bytes) -> bytes:
    """The same visit with a date nobody can read: it fails and names the patient inside."""
    inner = base64.b64decode(re.findall(rb"<NOIDUNGFILE>([^<]*)<", content)[0])
    spoiled = re.sub(rb"<NGAY_VAO>\d+<", b"<NGAY_VAO>hom qua<", inner)
    assert spoiled != inner
    return content.replace(base64.b64encode(inner), base64.b64encode(spoiled))


def test_no_log_of_any_process_holds_patient_data(tmp_path: Path) -> None:
    files = hospital.files("01003")
    files["9998.xml"] = damaged(hospital.visit("01003", 998, datetime(2026, 11, 1, 8, 0)))
    files["9999.xml"] = b"<GIAMDINHHS>" + hospital.CCCD.encode() + b" not closed"
    with launch(tmp_path / "city", [NodeSpec("01003", "Bệnh viện", "bhyt_xml", files)]) as city:
        city.settle()
        patient = canonical(IdentifierKind.CCCD, hospital.CCCD)
        token = city.token(Role.CITIZEN, "citizen", identity=patient)
        by = {"kind": "CCCD", "value": hospital.CCCD}
        access = {"purpose": "PATRQT", "basis": "SELF"}
        good = city.ask(token, hospital.QUERY % 5, {"by": by, "access": access})
        assert good["data"]["patient"]["coverage"]["facilities"][0]["outcome"] == "ANSWERED"
        bad = [
            {"by": {"kind": "CCCD", "value": [hospital.CCCD]}, "access": access},
            {"by": {"kind": hospital.CCCD, "value": hospital.CCCD}, "access": access},
            {"by": by, "access": {"purpose": hospital.CCCD, "basis": "SELF"}},
            {"by": {"kind": "CCCD", "value": hospital.CCCD + "9"}, "access": access},
        ]
        for variables in bad:
            answer = city.ask(token, hospital.QUERY % 5, variables)
            assert answer["errors"]
            assert hospital.CCCD not in str(answer["errors"])
        for text in (f'{{ patient(by: {{value: "{hospital.CCCD}"}} ', f"query {{ {hospital.CCCD} }}"):
            assert city.ask(token, text)["errors"]
        httpx.get(f"{city.gateway.url}/graphql", params={"query": "{contract}", "note": hospital.CCCD})
        httpx.post(f"{city.nodes['01003'].url}/graphql", json={"query": hospital.CCCD})
        httpx.post(
            f"{city.gateway.url}/graphql", content=f"{{{hospital.CCCD}", headers={"content-type": "application/json"}
        )
        wait_for("the failed files", lambda: city.loaded("01003")[0] == len(files))
        logs = [p.log.read_text(errors="replace") for p in (city.gateway, *city.nodes.values())]
    assert "inbox item ingested" in logs[1]
    for log in logs:
        for canary in CANARIES:
            assert canary not in log
