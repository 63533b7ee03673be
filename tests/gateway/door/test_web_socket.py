"""graphql-transport-ws to the letter: close codes, ids, limits, and a client that does not take in what is sent."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from benchmarks import hospital
from compose.demo.launch import wait_for
from tests.gateway.silent_city import OPTIONS, SilentCity, silent_city
from tests.listening import LISTEN, PROTOCOL, hear, opened, say

INIT = float(OPTIONS["live_init_seconds"])


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SilentCity]:
    with silent_city(tmp_path_factory.mktemp("silent") / "city") as made:
        yield made


def knock(city: SilentCity, **options: Any) -> ClientConnection:
    url = f"ws{city.url.removeprefix('http')}/graphql"
    return connect(url, **{"subprotocols": [PROTOCOL], "proxy": None, **options})


def closed(socket: ClientConnection, seconds: float = 5) -> int | None:
    """The code with which the other side closes; what it says before is passed over."""
    limit = time.monotonic() + seconds
    try:
        while True:
            socket.recv(timeout=limit - time.monotonic())
    except ConnectionClosed as end:
        return end.rcvd.code if end.rcvd else None


def subscribe(socket: ClientConnection, key: str, city: SilentCity, query: str = LISTEN, **more: Any) -> None:
    say(socket, type="subscribe", id=key, payload={"query": query, "variables": city.about(**more)})


def hear_of(socket: ClientConnection, key: str) -> dict[str, Any]:
    while (message := hear(socket)).get("id") != key:
        pass
    return message


def test_a_connection_without_the_sub_protocol_is_closed_with_4406(city: SilentCity) -> None:
    with knock(city, subprotocols=None) as socket:
        assert closed(socket) == 4406
    with knock(city, subprotocols=[Subprotocol("graphql-ws")]) as socket:
        assert closed(socket) == 4406


def test_who_does_not_initialise_in_time_is_closed_with_4408_even_when_pinging(city: SilentCity) -> None:
    with knock(city) as socket:
        began = time.monotonic()
        say(socket, type="ping")
        assert hear(socket) == {"type": "pong"}
        assert closed(socket) == 4408 and time.monotonic() - began >= INIT - 0.1


def test_who_asks_before_the_acknowledgement_is_closed_with_4401(city: SilentCity) -> None:
    with knock(city) as socket:
        subscribe(socket, "1", city, "{ contract }")
        assert closed(socket) == 4401


@pytest.mark.parametrize("payload", [None, {}, {"authorization": "Bearer x"}, {"authorization": 5}, {"token": "x"}])
def test_who_has_no_good_token_is_closed_with_4403(city: SilentCity, payload: Any) -> None:
    with knock(city) as socket:
        say(socket, type="connection_init", **({} if payload is None else {"payload": payload}))
        assert closed(socket) == 4403


def test_a_token_may_come_with_the_handshake(city: SilentCity) -> None:
    with knock(city, additional_headers={"authorization": f"Bearer {city.token()}"}) as socket:
        say(socket, type="connection_init")
        assert hear(socket) == {"type": "connection_ack"}


def test_a_second_initialisation_is_closed_with_4429(city: SilentCity) -> None:
    with opened(city.url, city.token()) as socket:
        say(socket, type="connection_init")
        assert closed(socket) == 4429


@pytest.mark.parametrize(
    "message",
    [
        "no json", "[]", "{}", '{"type": 1}', '{"type": "start", "id": "1"}', '{"type": "connection_ack"}', b'{"type": "ping"}',
        '{"type": "subscribe"}', '{"type": "subscribe", "id": ""}', '{"type": "subscribe", "id": "1"}', "[" * 90_000,
        '{"type": "subscribe", "id": "1", "payload": {}}', '{"type": "subscribe", "id": 1, "payload": {"query": "{contract}"}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{contract}", "variables": []}}', '{"type": "complete"}',
    ],
    ids=lambda m: str(m)[:40],
)  # fmt: skip
def test_a_message_that_is_none_is_closed_with_4400(city: SilentCity, message: str | bytes) -> None:
    with opened(city.url, city.token()) as socket:
        socket.send(message)
        assert closed(socket) == 4400


def test_an_id_in_use_is_closed_with_4409_and_one_that_is_over_may_be_used_again(city: SilentCity) -> None:
    with opened(city.url, city.token()) as socket:
        for _ in range(2):
            subscribe(socket, "q", city, "{ contract }")
            assert hear(socket) == {"id": "q", "type": "next", "payload": {"data": {"contract": "1.0"}}}
            assert hear(socket) == {"id": "q", "type": "complete"}
        subscribe(socket, "s", city)
        subscribe(socket, "s", city)
        assert closed(socket) == 4409


def test_a_caller_listens_to_so_much_at_a_time_over_all_connections_and_no_more(city: SilentCity) -> None:
    token = city.token("listener")
    with opened(city.url, token) as one, opened(city.url, token) as two:
        subscribe(one, "a", city)
        subscribe(two, "b", city)
        assert hear(one)["type"] == hear(two)["type"] == "next"
        subscribe(two, "c", city)
        refused = hear_of(two, "c")
        assert refused["type"] == "error" and code(refused) == "SUBSCRIPTIONS_EXCEEDED"
        answer = city.post(LISTEN, "text/event-stream", token)
        assert answer.status_code == 200 and "SUBSCRIPTIONS_EXCEEDED" in answer.text
        with opened(city.url, city.token("somebody else")) as three:
            subscribe(three, "d", city)
            assert hear(three)["type"] == "next"
        say(two, type="complete", id="b")
        wait_for("the place", lambda: listens(two, city), 5)


def listens(socket: ClientConnection, city: SilentCity) -> bool:
    key = f"again{time.monotonic()}"
    subscribe(socket, key, city)
    return bool(hear_of(socket, key)["type"] == "next")


def code(message: dict[str, Any]) -> str:
    (found,) = {error["extensions"]["code"] for error in message["payload"]}
    return str(found)


NO_COVERAGE = LISTEN.replace("completeness", "located")
INLINE = LISTEN.replace("by: $by", f'by: {{kind: CCCD, value: "{hospital.CCCD}"}}').replace("$by: PatientBy!, ", "")


@pytest.mark.parametrize(
    ("query", "more", "expected"),
    [
        ("{", {}, "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { history { __typename } }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("query A { contract } query B { contract }", {}, "OPERATION_UNKNOWN"),
        (NO_COVERAGE, {}, "COVERAGE_NOT_SELECTED"),
        (INLINE, {}, "IDENTIFIER_INLINE"),
        (LISTEN, {"first": 0}, "BAD_PAGE_SIZE"),
        (LISTEN, {"filter": {"facility": "99999"}}, "UNKNOWN_FACILITY"),
        (LISTEN, {"by": {"kind": "CCCD", "value": "12"}}, "BAD_IDENTIFIER"),
        (LISTEN, {"by": {"kind": "CCCD", "value": "001190054322"}}, "ACCESS_DENIED"),
        (LISTEN, {"by": {"kind": "HOROSCOPE", "value": "x"}}, "BAD_USER_INPUT"),
        (LISTEN, {"access": {"purpose": "BTG", "basis": "EMERGENCY"}}, "PURPOSE_UNSUPPORTED"),
    ],
    ids=lambda v: v if isinstance(v, str) and v.isupper() else "",
)
def test_what_cannot_be_listened_to_ends_in_one_error_with_its_code(
    city: SilentCity, query: str, more: dict[str, Any], expected: str
) -> None:
    with opened(city.url, city.token()) as socket:
        subscribe(socket, "1", city, query, **more)
        message = hear(socket)
        assert message["type"] == "error" and code(message) == expected
        assert hospital.CCCD not in str(message["payload"])
        say(socket, type="ping")
        assert hear(socket) == {"type": "pong"}


def test_a_client_whose_token_is_over_hears_nothing_more(city: SilentCity) -> None:
    token = city.token("short", seconds=-3)  # within the clock's leeway of 5 s: two seconds are left
    with opened(city.url, token) as socket:
        subscribe(socket, "1", city)
        assert hear(socket)["payload"]["data"]["history"]["__typename"] == "HistoryClosed"
        time.sleep(2.5)
        subscribe(socket, "2", city)
        message = hear_of(socket, "2")
        assert message["type"] == "error" and code(message) == "UNAUTHENTICATED"


def test_a_client_that_does_not_read_is_left_after_a_while_and_nothing_is_kept_for_it(city: SilentCity) -> None:
    before = memory(city)
    text = "{ __schema { types { name description fields { name description args { name type { name } } type { name } } } } }"
    with knock(city, max_queue=1) as socket:
        say(socket, type="connection_init", payload={"authorization": f"Bearer {city.token()}"})
        for n in range(3_000):
            try:
                subscribe(socket, str(n), city, text)
            except ConnectionClosed:
                break
        time.sleep(float(OPTIONS["live_send_seconds"]) + 1)
        assert memory(city) - before < 60e6
    with opened(city.url, city.token()) as socket:
        subscribe(socket, "1", city, "{ contract }")
        assert hear(socket)["type"] == "next"


def memory(city: SilentCity) -> int:
    return int(Path(f"/proc/{city.running.gateway.pid}/statm").read_text().split()[1]) * 4096


def test_a_patient_whom_nobody_knows_is_told_of_the_ledger_alone(city: SilentCity) -> None:
    value = "001190054321"
    token = city.token("stranger", value)
    with opened(city.url, token) as socket:
        subscribe(socket, "1", city, by={"kind": "CCCD", "value": value})
        event, end = hear(socket), hear(socket)
        closed_ = event["payload"]["data"]["history"]
        assert closed_["__typename"] == "HistoryClosed" and closed_["coverage"]["located"] == 0
        assert end == {"id": "1", "type": "complete"}


def test_clients_that_come_and_go_leave_nothing_behind(city: SilentCity) -> None:
    descriptors = Path(f"/proc/{city.running.gateway.pid}/fd")

    def come_and_go(times: int) -> None:
        for n in range(times):
            with opened(city.url, city.token(f"guest{n}")) as socket:
                subscribe(socket, "a", city)
                subscribe(socket, "b", city)
                assert hear(socket)["type"] == "next"
                if n % 2:
                    say(socket, type="complete", id="a")

    come_and_go(2)
    wait_for("calm", lambda: not calls(city), 5)
    before = len(list(descriptors.iterdir()))
    come_and_go(15)
    wait_for("every call's end", lambda: not calls(city), 5)
    wait_for("every socket's end", lambda: len(list(descriptors.iterdir())) <= before + 1, 5)


def calls(city: SilentCity) -> int:
    """Connections that the gateway holds to the silent hospitals."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[2].endswith(f":{city.node.port:04X}") and line.split()[3] == "01" for line in lines)


def test_introspection_shows_the_subscription(city: SilentCity) -> None:
    query = "{ __schema { subscriptionType { fields { name args { name } type { ofType { kind name possibleTypes { name } } } } } } }"
    found = city.post(query, "application/json").json()["data"]["__schema"]["subscriptionType"]["fields"]
    (field,) = found
    assert field["name"] == "history" and [a["name"] for a in field["args"]] == ["by", "access", "first", "filter"]
    union = field["type"]["ofType"]
    assert union["kind"] == "UNION" and {t["name"] for t in union["possibleTypes"]} == {"HistoryPart", "HistoryClosed"}


def test_zz_nothing_of_all_this_is_in_the_gateways_log(city: SilentCity) -> None:
    log = city.running.gateway.log.read_text()
    assert hospital.CCCD not in log and json.dumps(hospital.CCCD)[1:-1] not in log and "Traceback" not in log
    assert "eyJ" not in log, "a token"
