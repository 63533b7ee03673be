"""The demo as a user runs it: a program started from a shell, its standard output, its demo.json, and Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from compose.demo.data import build_city
from compose.demo.data.drugs import ARV, DRUGS
from compose.demo.process import free_port
from tests.running_demo import (
    ROOT,
    START_SECONDS,
    RunningDemo,
    alive,
    command,
    environment,
    running_demo,
)

HOSPITALS = {"01003", "01006", "01025", "01816", "01929"}
EVERYTHING: dict[str, Any] = {"kinds": None, "rows": 200, "results": 200}


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    return dict(build_city().truth)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    with running_demo(tmp_path_factory.mktemp("up") / "demo") as demo:
        yield demo


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """One run of --exit --format json."""
    folder = tmp_path_factory.mktemp("json") / "demo"
    return subprocess.run(
        command("--exit", "--format", "json", "--port", str(free_port())),
        cwd=ROOT,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


def patient(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = answer["data"]["patient"]["patient"]
    return found


def coverage(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = answer["data"]["patient"]["coverage"]
    return found


def outcomes(answer: dict[str, Any]) -> dict[str, str]:
    return {line["facility"]["code"]: line["outcome"] for line in coverage(answer)["facilities"]}


def test_standard_output_is_one_json_answer_with_rows_of_all_five_hospitals(
    printed: subprocess.CompletedProcess[str],
) -> None:
    assert printed.returncode == 0, printed.stderr
    answer = json.loads(printed.stdout)
    assert "errors" not in answer
    rows = patient(answer)["timeline"]["edges"]
    assert {edge["facility"]["code"] for edge in rows} == HOSPITALS
    assert coverage(answer)["completeness"] == "COMPLETE"
    assert outcomes(answer) == dict.fromkeys(HOSPITALS, "ANSWERED")
    assert all(line["records"] > 0 for line in coverage(answer)["facilities"])


def test_the_run_itself_is_told_on_standard_error(printed: subprocess.CompletedProcess[str]) -> None:
    assert re.search(r"559 tệp / files", printed.stderr)
    assert "Traceback" not in printed.stderr


def test_the_printed_answer_is_a_timeline_with_its_ledger(up: RunningDemo) -> None:
    text = up.output
    assert "NGUYỄN THỊ MINH HÒA" in text and "Có ghi nhận / on record (RECORDED)" in text
    assert "E11.9" in text and "Glucophage 850mg" in text and "mmol/L" in text
    assert "00401/2025/GCT 01003 → 01006" in text
    assert "ĐỦ / complete (COMPLETE)" in text
    assert "\x1b" not in text
    assert all(len(line) <= 90 for line in text.splitlines() if not line.startswith(("curl", "[", "Mã", "Đang")))


def test_demo_json_says_all_that_a_script_needs_and_only_its_owner_reads_it(up: RunningDemo) -> None:
    handout = up.handout
    assert set(handout) == {"gateway", "nodes", "tokens", "patients", "query"}
    assert {n["facility"] for n in handout["nodes"]} == HOSPITALS
    assert all(set(n) == {"facility", "url", "pid"} and alive(n["pid"]) for n in handout["nodes"])
    assert all(httpx.get(f"{n['url']}/health").json()["pending"] == 0 for n in handout["nodes"])
    assert set(handout["tokens"]) == {"practitioner", "citizen", "operator", "analyst"}
    assert set(handout["query"]) == {"query", "variables"}
    assert len(handout["patients"]) >= 20
    assert all(set(p) == {"kind", "value", "facilities", "grant"} for p in handout["patients"])
    assert len({(p["kind"], p["value"]) for p in handout["patients"]}) == len(handout["patients"])
    assert stat.S_IMODE((up.folder / "demo.json").stat().st_mode) == 0o600


def test_the_showcase_person_comes_first_and_is_the_one_asked_about(up: RunningDemo, truth: dict[str, Any]) -> None:
    showcase = next(p for p in truth["people"] if p["person"] == truth["showcase"])
    first = up.handout["patients"][0]
    assert (first["kind"], first["value"]) == ("CCCD", showcase["identifiers"]["cccd"])
    assert set(first["facilities"]) == HOSPITALS
    assert up.handout["query"]["variables"]["by"] == {"kind": first["kind"], "value": first["value"]}


def test_the_query_of_demo_json_gives_the_printed_answer_again(up: RunningDemo) -> None:
    query = up.handout["query"]
    answer = up.ask("practitioner", query["query"], query["variables"])
    assert "errors" not in answer and coverage(answer)["completeness"] == "COMPLETE"
    text = up.output
    assert patient(answer)["name"] in text
    numbers = [n for e in patient(answer)["timeline"]["edges"] if (n := e["node"].get("number"))]
    assert numbers and all(number in text for number in numbers)


def test_the_curl_line_works_when_pasted_into_a_shell(up: RunningDemo) -> None:
    text = up.output
    line = next(line for line in text.splitlines() if line.startswith("curl "))
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=True)
    assert patient(json.loads(done.stdout))["timeline"]["edges"]


def test_every_handed_out_patient_can_be_asked_about_and_is_found_where_it_says(up: RunningDemo) -> None:
    for person in up.handout["patients"]:
        answer = up.history(person)
        assert "errors" not in answer, answer
        assert set(person["facilities"]) <= set(outcomes(answer)), person["facilities"]


def test_the_citizen_token_opens_its_own_history_and_nobody_elses(up: RunningDemo) -> None:
    own, other = up.handout["patients"][:2]
    access = {"purpose": "PATRQT", "basis": "SELF"}
    assert len(patient(up.history(own, "citizen", access=access))["timeline"]["edges"]) > 20
    refused = up.history(other, "citizen", access=access)
    assert refused["errors"][0]["extensions"]["code"] == "ACCESS_DENIED" and refused["data"] == {"patient": None}


@pytest.mark.parametrize("role", ["analyst", "operator"])
def test_who_reads_no_records_is_denied(up: RunningDemo, role: str) -> None:
    answer = up.history(up.handout["patients"][0], role)
    assert answer["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    assert not any((answer.get("data") or {}).values())


def test_a_birth_date_conflict_is_withheld_and_said(up: RunningDemo, truth: dict[str, Any]) -> None:
    swapped = next(p for p in truth["people"] if p["story"] == "birth_conflict")
    answer = up.history(up.person(swapped["identifiers"]["cccd"]), **EVERYTHING)
    assert "WITHHELD" in outcomes(answer).values()
    assert coverage(answer)["completeness"] == "INCOMPLETE"


def test_nothing_of_an_hiv_patients_restricted_visits_is_in_the_answer(up: RunningDemo, truth: dict[str, Any]) -> None:
    regimens = [drug.name for key, drug in DRUGS.items() if key in ARV]
    assert regimens
    people = [p for p in truth["people"] if p["story"] == "hiv"]
    seen = 0
    for person in people:
        closed = {(r["facility"], r["visit"]) for r in truth["restricted"] if r["person"] == person["person"]}
        visits = [(code, v) for code, f in person["facilities"].items() for v in f["visits"]]
        hidden = {(code, v["start"][:16]) for code, v in visits if (code, v["visit"]) in closed}
        open_ = {(code, v["start"][:16]) for code, v in visits if (code, v["visit"]) not in closed}
        assert hidden
        answer = up.history(up.person(person["identifiers"]["cccd"]), **EVERYTHING)
        text = json.dumps(answer, ensure_ascii=False)
        assert not re.search("HIV|B20|Z21|ARV|kháng vi rút", text)
        assert not [name for name in regimens if name in text]
        rows = {(e["facility"]["code"], e["sortKey"][:16]) for e in patient(answer)["timeline"]["edges"]}
        assert not rows & hidden
        assert len(rows & open_) == len(open_)
        seen += len(rows)
    assert seen


def test_a_second_demo_in_the_same_folder_is_refused_with_what_to_do(up: RunningDemo) -> None:
    second = subprocess.run(
        command("--exit"),
        cwd=ROOT,
        env=environment(up.folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1 and second.stdout == ""
    assert "Ctrl-C" in second.stderr and str(up.process.pid) in second.stderr
    assert up.process.poll() is None and (up.folder / "demo.json").exists()


def test_a_taken_port_is_refused_with_what_to_do(up: RunningDemo, tmp_path: Path) -> None:
    port = up.handout["gateway"].rpartition(":")[2]
    done = subprocess.run(
        command("--exit", "--port", port),
        cwd=ROOT,
        env=environment(tmp_path / "other"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert port in done.stderr and "PORT" in done.stderr


def test_a_folder_that_is_not_a_demos_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = subprocess.run(
        command("--exit", "--folder", str(tmp_path)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_ctrl_c_ends_the_demo_and_every_process_of_it(up: RunningDemo) -> None:
    """Last, since it ends what the tests above ask."""
    pids = [int(line) for line in (up.folder / "demo.pid").read_text().split()]
    assert {n["pid"] for n in up.handout["nodes"]} < set(pids) and len(pids) == 7
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0
    assert not [pid for pid in pids if alive(pid)]
    assert not (up.folder / "demo.json").exists()
