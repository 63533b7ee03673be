"""The command as an operator runs it, in processes of its own: what it prints, what it never prints, how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.node_agent.feeds.bhyt_files import FACILITY, envelope, hoso
from tests.node_agent.feeds.fhir_files import ENCOUNTER, PATIENT, bundle

CANARY = "CANARY"
Done = subprocess.CompletedProcess[str]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "node.toml"
    path.write_text(
        f"""
data_folder = "{tmp_path / "data"}"
facilities = [{{code = "{FACILITY}", name = "Bệnh viện Thử"}}]
feeds = [{{feed = "bhyt_xml"}}, {{feed = "fhir"}}]
""",
        "utf-8",
    )
    return path


def command(config: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "node_agent.cli", "--config", str(config), *arguments]


def run(config: Path, *arguments: str) -> Done:
    """The finished process; its environment holds nothing of this node."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NODE_AGENT_")}
    return subprocess.run(
        command(config, *arguments), capture_output=True, text=True, timeout=60, check=False, env=environment
    )


def good_xml(tmp_path: Path) -> Path:
    path = tmp_path / "good.xml"
    path.write_bytes(envelope(hoso({})))
    return path


def half_bad_xml(tmp_path: Path) -> Path:
    """A file whose only visit lacks the time it began, of a patient named by canaries."""
    path = tmp_path / "bad.xml"
    row = {"MA_LK": "LK2", "MA_BN": CANARY, "HO_TEN": f"{CANARY} B", "NGAY_VAO": ""}
    path.write_bytes(envelope(hoso({}, **row)))
    return path


def test_init_makes_the_databases_and_can_be_run_again(config: Path) -> None:
    for _ in range(2):
        done = run(config, "init")
        assert (done.returncode, done.stderr) == (0, "")
    assert {p.name for p in (config.parent / "data").iterdir()} >= {"store.db", "inbox.db", "record.key"}


def test_files_go_in_errors_come_out_and_nothing_printed_names_a_patient(config: Path, tmp_path: Path) -> None:
    done = run(config, "receive", "--feed", "bhyt_xml", str(good_xml(tmp_path)), str(half_bad_xml(tmp_path)))
    assert done.returncode == 1
    fhir = tmp_path / "b.json"
    fhir.write_bytes(bundle(PATIENT, ENCOUNTER))
    assert run(config, "receive", "--feed", "fhir", str(fhir)).returncode == 0

    listed = run(config, "inbox", "list", "--json")
    items = json.loads(listed.stdout)
    assert [(i["name"], i["state"], i["units"]) for i in items] == [
        ("good.xml", "STORED", 1),
        ("bad.xml", "FAILED", 0),
        ("b.json", "STORED", 1),
    ]
    failed = run(config, "inbox", "list", "--state", "FAILED")
    assert "bad.xml" in failed.stdout
    assert "good.xml" not in failed.stdout

    shown = run(config, "inbox", "show", "2")
    for said in ("FAILED", "FIELD_MISSING", "HOSO 1", "XML1/NGAY_VAO", "bad.xml"):
        assert said in shown.stdout
    for each in (done, listed, failed, shown, run(config, "status"), run(config, "inbox", "replay", "--all")):
        assert CANARY not in each.stdout + each.stderr
        assert "NGUYỄN" not in each.stdout + each.stderr
        assert "Traceback" not in each.stderr

    raw = subprocess.run(command(config, "inbox", "show", "2", "--raw"), capture_output=True, timeout=60, check=True)
    assert raw.stdout == (tmp_path / "bad.xml").read_bytes()
    again = run(config, "receive", "--feed", "bhyt_xml", str(good_xml(tmp_path)))
    assert (again.returncode, "DUPLICATE" in again.stdout) == (0, True)


def test_replay_of_a_failed_item_succeeds_once_the_node_serves_its_facility(config: Path, tmp_path: Path) -> None:
    good = config.read_text("utf-8")
    config.write_text(good.replace(FACILITY, "01999"), "utf-8")
    assert run(config, "receive", "--feed", "bhyt_xml", str(good_xml(tmp_path))).returncode == 1
    config.write_text(good, "utf-8")
    assert run(config, "inbox", "replay", "--state", "FAILED").returncode == 0
    assert json.loads(run(config, "inbox", "list", "--json").stdout)[0]["state"] == "STORED"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("inbox", "show", "7"), "INBOX_ITEM_NOT_FOUND"),
        (("inbox", "replay", "7"), "INBOX_ITEM_NOT_FOUND"),
        (("receive", "--feed", "telex", "x"), "telex"),
        (("receive", "--feed", "fhir", "/nowhere/x.json"), "/nowhere/x.json"),
        (("inbox", "replay"), "--all"),
        (("inbox", "list", "--state", "LOST"), "LOST"),
    ],
)
def test_a_wrong_command_says_what_is_wrong_without_a_traceback(
    config: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = run(config, *arguments)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_settings_are_named_in_both_languages(config: Path) -> None:
    config.write_text(config.read_text("utf-8") + "\ncolour = 1\n", "utf-8")
    done = run(config, "status")
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["SETTINGS_INVALID"] * 2
    assert "colour" in done.stderr


@pytest.mark.parametrize("arguments", [("status",), ("inbox", "list"), ("serve",)])
def test_a_damaged_database_is_told_in_two_lines(config: Path, arguments: tuple[str, ...]) -> None:
    run(config, "init")
    for file in (config.parent / "data").glob("*.db*"):
        file.write_bytes(b"no database " * 1_000)
    done = run(config, *arguments)
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["STORE_UNUSABLE"] * 2
    assert "SQLITE_NOTADB" in done.stderr


def test_a_data_folder_that_cannot_be_made_is_named(config: Path) -> None:
    (config.parent / "data").write_text("a file is in its place", "utf-8")
    done = run(config, "status")
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["STORE_UNUSABLE"] * 2
    assert str(config.parent / "data") in done.stderr


def test_a_killed_receive_loses_nothing_and_resumes_to_the_same_store(config: Path, tmp_path: Path) -> None:
    people = [{**PATIENT, "id": f"p{n}"} for n in range(40)]
    visits = [{**ENCOUNTER, "id": f"e{n}", "subject": {"reference": f"Patient/p{n % 40}"}} for n in range(4_000)]
    file = tmp_path / "big.json"
    file.write_bytes(bundle(*people, *visits))
    run(config, "init")
    process = subprocess.Popen(
        command(config, "receive", "--feed", "fhir", str(file)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    log = tmp_path / "data" / "store.db-wal"
    end = time.monotonic() + 30
    while (not log.exists() or log.stat().st_size < 1_000_000) and time.monotonic() < end:
        time.sleep(0.005)
    process.kill()
    process.wait()
    [item] = json.loads(run(config, "inbox", "list", "--json").stdout)
    assert item["state"] == "RECEIVED"
    done = run(config, "inbox", "replay", "--state", "RECEIVED")
    assert done.returncode == 0, done.stderr
    [item] = json.loads(run(config, "inbox", "list", "--json").stdout)
    assert (item["state"], item["units"]) == ("STORED", 4_000)
