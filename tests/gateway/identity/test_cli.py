"""`city-gateway identity …` over a real store: says why, lists no people, and what it unlinks is apart at the next query."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.errors import IdentityUnknown
from gateway.identity.locator import People, SqliteLocator
from schema.identity import IdentifierKind
from tests.hand_made_node import CCCD, OTHER_CCCD, HandMadeNode, patient
from tests.running import RunningGateway, outside

BHXH = "0123456780"
FACILITIES = ("01001", "01002", "01003", "01004")


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningGateway]:
    monkeypatch.setenv("CITY_GATEWAY_DATA_FOLDER", str(tmp_path))
    running = RunningGateway(tmp_path, FACILITIES)
    running.start()
    node = HandMadeNode(running, *FACILITIES)
    rows = [
        patient(facility="01001", ref="ref-0001", identifiers=[["CCCD", CCCD], ["BHXH", BHXH]]),
        patient(facility="01002", ref="ref-0002", identifiers=[["BHXH", BHXH]]),
        patient(facility="01003", ref="ref-0003", identifiers=[["BHXH", BHXH]], gender="FEMALE"),
        patient(facility="01004", ref="ref-0004", identifiers=[["CCCD", CCCD]], doubtful=True, birth_date="2026-01-01"),
    ]
    node.send(node.message(*rows))
    running.node = node  # type: ignore[attr-defined]
    yield running
    running.stop()


def run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, ["identity", *arguments], input=typed)


def kept(gateway: RunningGateway, people: People | None = None) -> list[str]:
    asked = people or People(SqliteLocator(gateway.database))
    choice = outside(asked.find((gateway.key.patient_token(IdentifierKind.CCCD, CCCD),)))
    return [row.facility for row in choice.kept]


def test_explain_says_of_every_row_what_becomes_of_it_and_why(gateway: RunningGateway) -> None:
    told = run("explain", "--kind", "CCCD", typed=f"{CCCD}\n").stdout
    lines = [line for line in told.splitlines() if line[0].isdigit()]
    assert [line.split(" · ")[:2] for line in lines] == [
        ["1. 01001", "KEPT"],
        ["2. 01002", "KEPT"],
        ["3. 01003", "OTHER_PERSON"],
        ["4. 01004", "IDENTITY_DOUBTFUL"],
    ]
    assert "có CCCD" in lines[0] and "liên kết qua BHXH" in lines[1] and "khác" in lines[2] and "cha mẹ" in lines[3]
    assert "linked by BHXH" in told and "birth date and sex agree" in told and "birth date and sex differ" in told


def test_a_token_serves_as_well_as_the_number(gateway: RunningGateway) -> None:
    token = gateway.key.patient_token(IdentifierKind.CCCD, CCCD).hex()
    assert run("explain", typed=f"{token}\n").stdout == run("explain", "--kind", "CCCD", typed=f"{CCCD}\n").stdout


def test_no_command_takes_a_number_as_an_argument_or_prints_one(gateway: RunningGateway) -> None:
    for command in ("explain", "unlink"):
        assert run(command, CCCD).exit_code == 2
    token = gateway.key.patient_token(IdentifierKind.CCCD, CCCD).hex()
    printed = ""
    for command in ("explain", "unlink", "quarantine", "splits"):
        for typed in (f"{CCCD}\n1\n", f"{OTHER_CCCD}\n", "nonsense-canary\n"):
            result = run(command, *(["--kind", "CCCD"] if command in ("explain", "unlink") else []), typed=typed)
            printed += result.output + str(result.exception)
    for canary in (CCCD, OTHER_CCCD, BHXH, "canary", "1980", "ref-000", token):
        assert canary not in printed


def test_what_is_not_there_is_an_error_that_repeats_nothing(gateway: RunningGateway) -> None:
    for typed in (OTHER_CCCD, "12", "000000000000", ""):
        assert isinstance(run("explain", "--kind", "CCCD", typed=f"{typed}\n").exception, IdentityUnknown)
    for rows in ("9", "1 2 3", "1 1", "x", ""):
        assert isinstance(run("unlink", "--kind", "CCCD", typed=f"{CCCD}\n{rows}\n").exception, IdentityUnknown)
    assert isinstance(run("rejoin", "5").exception, IdentityUnknown)
    assert run("splits").stdout == ""


def test_an_unlinked_row_is_apart_at_the_next_query_survives_a_resync_and_comes_back(gateway: RunningGateway) -> None:
    people = People(SqliteLocator(gateway.database))  # open before, as in a gateway that runs
    assert kept(gateway, people) == ["01001", "01002"]
    assert run("unlink", "--kind", "CCCD", typed=f"{CCCD}\n2\n").exit_code == 0
    assert kept(gateway, people) == ["01001"]
    assert "2. 01002 · UNLINKED" in run("explain", "--kind", "CCCD", typed=f"{CCCD}\n").stdout
    node: HandMadeNode = gateway.node  # type: ignore[attr-defined]
    again = patient(facility="01002", ref="ref-0002", identifiers=[["BHXH", BHXH], ["CCCD", CCCD]])
    node.send(node.message(again, since=1, position=2))
    assert kept(gateway, people) == ["01001"]
    (line,) = run("splits").stdout.splitlines()
    assert line.split()[:2] == ["1", "01002"]
    assert run("rejoin", "1").exit_code == 0
    assert kept(gateway, people) == ["01001", "01002"]
    assert run("splits").stdout == ""
    assert isinstance(run("rejoin", "1").exception, IdentityUnknown)


def test_two_rows_unlinked_from_each_other(gateway: RunningGateway) -> None:
    assert run("unlink", "--kind", "CCCD", typed=f"{CCCD}\n1 2\n").exit_code == 0
    assert kept(gateway) == ["01001"]
    (line,) = run("splits").stdout.splitlines()
    assert line.split()[1:3] == ["01001", "01002"]


def test_a_number_on_three_people_is_listed_by_digest_and_facilities_only(gateway: RunningGateway) -> None:
    assert run("quarantine").stdout == ""
    node: HandMadeNode = gateway.node  # type: ignore[attr-defined]
    third = patient(facility="01004", ref="ref-0005", identifiers=[["BHXH", BHXH]], birth_date="1955-01-01")
    node.send(node.message(third, since=1, position=2))
    digest = gateway.key.patient_token(IdentifierKind.BHXH, BHXH)[1:].hex()
    (line,) = run("quarantine").stdout.splitlines()
    assert line.split()[:3] == [digest[:8], "BHXH", "3"] and "01001, 01002, 01003, 01004" in line
    assert digest[:9] not in line
    choice = outside(
        People(SqliteLocator(gateway.database)).find((gateway.key.patient_token(IdentifierKind.CCCD, CCCD),))
    )
    assert {row.facility: why.value for row, why in choice.withheld}["01002"] == "IDENTITY_QUARANTINED"
