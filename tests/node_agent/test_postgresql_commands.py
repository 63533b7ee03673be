"""The node's commands and its sync with stores on PostgreSQL: as real processes, killed in the middle, told by the gateway."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from schema.identity import IdentifierKind
from tests.node_agent.feeds.bhyt_files import FACILITY
from tests.node_agent.feeds.fhir_files import ENCOUNTER, PATIENT, bundle
from tests.node_agent.test_cli import command, good_xml, half_bad_xml, run
from tests.postgres import fresh_database
from tests.running import RunningGateway, wait_until
from tests.running_node import RunningNode, number


@pytest.fixture
def url() -> str:
    return fresh_database()


@pytest.fixture
def config(url: str, tmp_path: Path) -> Path:
    return configured(tmp_path, url)


def configured(folder: Path, url: str) -> Path:
    path = folder / "node.toml"
    facilities = f'facilities = [{{code = "{FACILITY}", name = "Bệnh viện Thử"}}]'
    feeds = 'feeds = [{feed = "bhyt_xml"}, {feed = "fhir"}]'
    stores = f'database_url = "{url}"\ninbox_url = "{url}"'
    path.write_text(f'data_folder = "{folder / "data"}"\n{stores}\n{facilities}\n{feeds}\n', "utf-8")
    return path


def value(url: str, sql: str) -> Any:
    async def work() -> Any:
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            found = (await connection.execute(text(sql))).scalar()
        await engine.dispose()
        return found

    return asyncio.run(work())


def test_files_go_in_errors_come_out_and_bytes_come_back(config: Path, tmp_path: Path) -> None:
    good, bad = good_xml(tmp_path), half_bad_xml(tmp_path)
    assert run(config, "receive", "--feed", "bhyt_xml", str(good), str(bad)).returncode == 1
    items = json.loads(run(config, "inbox", "list", "--json").stdout)
    assert [(i["name"], i["state"], i["units"]) for i in items] == [("good.xml", "STORED", 1), ("bad.xml", "FAILED", 0)]
    shown = run(config, "inbox", "show", "2")
    assert "FIELD_MISSING" in shown.stdout and "XML1/NGAY_VAO" in shown.stdout
    raw = subprocess.run(command(config, "inbox", "show", "2", "--raw"), capture_output=True, timeout=60, check=True)
    assert raw.stdout == bad.read_bytes()
    assert "DUPLICATE" in run(config, "receive", "--feed", "bhyt_xml", str(good)).stdout
    assert {p.name for p in (tmp_path / "data").iterdir()} == {"record.key"}


def test_a_killed_receive_loses_nothing_and_its_replay_ends_in_the_whole(
    config: Path, url: str, tmp_path: Path
) -> None:
    people = [{**PATIENT, "id": f"p{n}"} for n in range(40)]
    visits = [{**ENCOUNTER, "id": f"e{n}", "subject": {"reference": f"Patient/p{n % 40}"}} for n in range(2_000)]
    file = tmp_path / "big.json"
    file.write_bytes(bundle(*people, *visits))
    assert run(config, "init").returncode == 0
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(command(config, "receive", "--feed", "fhir", str(file)), stdout=nothing, stderr=nothing)
    end = time.monotonic() + 60
    while value(url, "SELECT count(*) FROM unit") < 100 and time.monotonic() < end:
        time.sleep(0.005)
    process.kill()
    process.wait()
    [item] = json.loads(run(config, "inbox", "list", "--json").stdout)
    assert item["state"] == "RECEIVED"
    assert 0 < value(url, "SELECT count(*) FROM unit") < 2_000
    done = run(config, "inbox", "replay", "--state", "RECEIVED")
    assert done.returncode == 0, done.stderr
    [item] = json.loads(run(config, "inbox", "list", "--json").stdout)
    assert (item["state"], item["units"]) == ("STORED", 2_000)
    assert value(url, "SELECT count(*) FROM record WHERE current") == 2_000


def test_a_server_that_is_away_is_two_lines_without_a_traceback_or_the_password(tmp_path: Path) -> None:
    done = run(configured(tmp_path, "postgresql+asyncpg://node:s3cret@127.0.0.1:1/store"), "status")
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["STORE_UNREACHABLE"] * 2
    assert "s3cret" not in done.stderr


def test_the_gateway_finds_who_is_stored_and_hears_of_changes(url: str, tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path / "gateway")
    gateway.start()
    node = RunningNode(tmp_path / "node", gateway, "01001", database_url=url, inbox_url=url)
    try:
        for i in range(10, 40):
            node.put(str(i), number(i))
        node.start()
        wait_until(lambda: bool(gateway.find(IdentifierKind.CCCD, number(39))))
        assert all(gateway.find(IdentifierKind.CCCD, number(i)) for i in range(10, 40))
        node.put("10", number(50))
        wait_until(lambda: bool(gateway.find(IdentifierKind.CCCD, number(50))))
        assert not gateway.find(IdentifierKind.CCCD, number(10))
        assert node.state.failures == 0
    finally:
        node.stop()
        gateway.stop()
