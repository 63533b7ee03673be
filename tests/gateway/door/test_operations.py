"""Server-sent events: when a POST is answered with them, in which form, and that a node cannot write events of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from benchmarks import hospital
from gateway.door.operations import EVENT_STREAM, one_line
from schema.over_http import GRAPHQL_RESPONSE
from tests.gateway.silent_city import SilentCity, silent_city
from tests.listening import LISTEN, hear, opened, over_events, say


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SilentCity]:
    with silent_city(tmp_path_factory.mktemp("silent") / "city") as made:
        yield made


def events(answer: httpx.Response) -> list[tuple[str, str]]:
    blocks = [b.split("\n") for b in answer.text.removesuffix("\n\n").split("\n\n")]
    return [(name.removeprefix("event: "), data.removeprefix("data: ")) for name, data in blocks]


def test_a_query_that_takes_nothing_but_events_gets_one_and_the_end(city: SilentCity) -> None:
    answer = city.post("{ contract }", EVENT_STREAM)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache, no-store"
    assert events(answer) == [("next", '{"data":{"contract":"1.0"}}'), ("complete", "")]


@pytest.mark.parametrize("kind", [GRAPHQL_RESPONSE, "application/json", "*/*"])
def test_a_client_that_takes_both_gets_a_stream_only_for_a_subscription(city: SilentCity, kind: str) -> None:
    both = f"{kind}, {EVENT_STREAM}"
    answer = city.post("{ contract }", both)
    assert answer.json() == {"data": {"contract": "1.0"}} and "json" in answer.headers["content-type"]
    answer = city.post(LISTEN, both, first=0)
    assert answer.headers["content-type"].startswith(EVENT_STREAM)
    (_, error), end = events(answer)
    assert json.loads(error)["errors"][0]["extensions"]["code"] == "BAD_PAGE_SIZE" and end == ("complete", "")


def test_a_subscription_by_plain_post_or_by_get_is_refused(city: SilentCity) -> None:
    found = city.post(LISTEN, "application/json").json()
    assert found["errors"][0]["extensions"]["code"] == "SUBSCRIPTION_UNSUPPORTED" and "data" not in found
    headers = {"authorization": f"Bearer {city.token()}", "accept": EVENT_STREAM}
    with httpx.Client(trust_env=False) as client:
        answer = client.get(f"{city.url}/graphql", params={"query": LISTEN}, headers=headers)
        assert answer.status_code == 406
        headers["accept"] = "*/*"
        found = client.get(f"{city.url}/graphql", params={"query": LISTEN}, headers=headers).json()
        assert found["errors"][0]["extensions"]["code"] == "SUBSCRIPTION_UNSUPPORTED"


def test_without_a_token_there_is_no_stream(city: SilentCity) -> None:
    answer = city.post(LISTEN, EVENT_STREAM, token="x")
    assert answer.status_code == 401 and answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


def test_a_line_end_between_two_tokens_of_a_node_starts_no_event() -> None:
    body = b'{"a":\n\nevent: complete\r\ndata: \r{"b": "\\n"}}'
    line = one_line(body)
    assert b"\n" not in line and b"\r" not in line
    assert json.loads(one_line(b'{"a":\r\n[1,\n2, "\\n"]}')) == {"a": [1, 2, "\n"]}


def test_zz_a_gateway_that_is_told_to_stop_does_not_wait_for_its_listeners(city: SilentCity) -> None:
    stream = over_events(city.url, city.token("sse"), LISTEN, city.about())
    with opened(city.url, city.token("ws")) as socket:
        say(socket, type="subscribe", id="1", payload={"query": LISTEN, "variables": city.about()})
        assert hear(socket)["type"] == "next" and not next(stream).is_part
        began = time.monotonic()
        city.running.gateway.stop()
        assert time.monotonic() - began < 9
        with pytest.raises(ConnectionClosed):
            while True:
                socket.recv(timeout=5)
    stream.close()  # type: ignore[attr-defined]
    log = city.running.gateway.log.read_text()
    assert hospital.CCCD not in log and "eyJ" not in log
