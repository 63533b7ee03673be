"""One hospital of five fails in some way: the answer keeps every other hospital's rows, and the ledger names what happened."""

from __future__ import annotations

import signal
import time

import pytest

from tests.end_to_end.conftest import TestCity, ledger, rows
from tests.fault_proxy import Fault

BROKEN = "01003"


def check_only_the_broken_one_is_missing(city: TestCity, outcome: str, reason: str | None) -> None:
    city.proxies[BROKEN].fault, fault = Fault.NONE, city.proxies[BROKEN].fault
    whole = rows(city.ask(city.showcase))
    city.proxies[BROKEN].fault = fault
    assert any(facility == BROKEN for facility, _ in whole)
    started = time.monotonic()
    answer = city.ask(city.showcase)
    assert time.monotonic() - started < 3
    assert "errors" not in answer
    assert rows(answer) == [row for row in whole if row[0] != BROKEN]
    lines = ledger(answer)
    assert lines.pop(BROKEN) == (outcome, reason)
    assert {o for o, _ in lines.values()} == {"ANSWERED"}
    assert answer["data"]["patient"]["coverage"]["completeness"] == "INCOMPLETE"


@pytest.mark.parametrize(
    ("fault", "outcome", "reason"),
    [
        (Fault.HANG, "TIMED_OUT", None),
        (Fault.DRIP, "TIMED_OUT", None),
        (Fault.CUT, "UNREACHABLE", None),
        (Fault.GARBAGE, "INVALID_RESPONSE", "NOT_JSON"),
        (Fault.HTML, "INVALID_RESPONSE", "NOT_JSON"),
        (Fault.INVALID_UTF8, "INVALID_RESPONSE", "NOT_UTF8"),
        (Fault.OTHER_PATIENT, "INVALID_RESPONSE", "ANOTHER_PATIENT"),
        (Fault.ERRORS_BESIDE_DATA, "INVALID_RESPONSE", "ERRORS_IN_ANSWER"),
        (Fault.DEEP, "INVALID_RESPONSE", "NOT_THE_CONTRACT"),
        (Fault.ENDLESS, "INVALID_RESPONSE", "TOO_LARGE"),
        (Fault.STATUS_500, "INVALID_RESPONSE", "HTTP_500"),
        (Fault.STATUS_403, "REFUSED", "HTTP_403"),
    ],
    ids=lambda value: value.value if isinstance(value, Fault) else None,
)
def test_a_misbehaving_node_loses_only_its_own_part(
    city: TestCity, fault: Fault, outcome: str, reason: str | None
) -> None:
    city.proxies[BROKEN].fault = fault
    check_only_the_broken_one_is_missing(city, outcome, reason)


def test_a_hung_process_is_timed_out_and_answers_again_when_it_wakes(city: TestCity) -> None:
    process = city.running.nodes[BROKEN].popen
    assert process is not None
    whole = rows(city.ask(city.showcase))
    process.send_signal(signal.SIGSTOP)
    try:
        answer = city.ask(city.showcase)
    finally:
        process.send_signal(signal.SIGCONT)
    assert ledger(answer)[BROKEN] == ("TIMED_OUT", None)
    assert rows(answer) == [row for row in whole if row[0] != BROKEN]
    assert rows(city.ask(city.showcase)) == whole


def test_a_killed_process_is_unreachable_and_back_after_a_restart(city: TestCity) -> None:
    node = city.running.nodes[BROKEN]
    whole = rows(city.ask(city.showcase))
    node.stop(signal.SIGKILL)
    try:
        answer = city.ask(city.showcase)
        assert ledger(answer)[BROKEN][0] == "UNREACHABLE"
        assert rows(answer) == [row for row in whole if row[0] != BROKEN]
        assert answer["data"]["patient"]["coverage"]["completeness"] == "INCOMPLETE"
    finally:
        node.start()
    assert rows(city.ask(city.showcase)) == whole


def test_when_every_node_fails_the_patient_is_not_shown_as_having_no_history(city: TestCity) -> None:
    for proxy in city.proxies.values():
        proxy.fault = Fault.STATUS_500
    answer = city.ask(city.showcase)
    assert rows(answer) == []
    assert answer["data"]["patient"]["coverage"]["completeness"] == "INCOMPLETE"
    assert answer["data"]["patient"]["patient"]["allergyStatus"] == "UNKNOWN"
    assert answer["data"]["patient"]["patient"]["medicationStatus"] == "UNKNOWN"
