"""Listeners to a gateway, as plain as the protocols allow: graphql-transport-ws and server-sent events, with the time of each event."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

PROTOCOL = Subprotocol("graphql-transport-ws")
LISTEN = """subscription Listen($by: PatientBy!, $access: AccessInput!, $first: Int! = 200, $filter: TimelineFilter) {
  history(by: $by, access: $access, first: $first, filter: $filter) { __typename
    ... on HistoryPart { facility { code name } coverage { facility { code } outcome reason records tookMs advice }
      edges { sortKey late conflict facility { code } alsoAt { code } node { id kind ... on Encounter { class } } } }
    ... on HistoryClosed { coverage { completeness located facilities { facility { code } outcome reason records } }
      pageInfo { hasNextPage endCursor } } } }"""


@dataclass(frozen=True)
class Heard:
    """One event and when it came, in seconds after asking."""

    at: float
    payload: dict[str, Any]

    @property
    def history(self) -> dict[str, Any]:
        """The event itself."""
        found: dict[str, Any] = self.payload["data"]["history"]
        return found

    @property
    def is_part(self) -> bool:
        return bool(self.history["__typename"] == "HistoryPart")

    @property
    def facility(self) -> str:
        return str(self.history["facility"]["code"])

    def rows(self) -> list[tuple[str, str]]:
        """(facility, record id) of a part."""
        return [(e["facility"]["code"], e["node"]["id"]) for e in self.history["edges"]]

    def ledger(self) -> dict[str, tuple[str, str | None, int]]:
        """facility -> (outcome, reason, records) of a HistoryClosed."""
        lines = self.history["coverage"]["facilities"]
        return {x["facility"]["code"]: (x["outcome"], x["reason"], x["records"]) for x in lines}


@contextmanager
def opened(url: str, token: str | None) -> Iterator[ClientConnection]:
    """An acknowledged connection."""
    with connect(f"ws{url.removeprefix('http')}/graphql", subprotocols=[PROTOCOL], proxy=None) as socket:
        say(socket, type="connection_init", payload={"authorization": f"Bearer {token}"})
        assert hear(socket) == {"type": "connection_ack"}
        yield socket


def say(socket: ClientConnection, **message: Any) -> None:
    socket.send(json.dumps(message))


def hear(socket: ClientConnection, seconds: float = 40) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(socket.recv(timeout=seconds, decode=True))
    return found


def over_web_socket(url: str, token: str, query: str, variables: dict[str, Any]) -> Iterator[Heard]:
    """Every event until the end; an `error` message is the last one, as {"errors": …}."""
    with opened(url, token) as socket:
        began = time.monotonic()
        say(socket, type="subscribe", id="1", payload={"query": query, "variables": variables})
        while (message := hear(socket))["type"] != "complete":
            assert message["id"] == "1"
            failed = message["type"] == "error"
            yield Heard(time.monotonic() - began, {"errors": message["payload"]} if failed else message["payload"])
            if failed:
                return


def over_events(url: str, token: str, query: str, variables: dict[str, Any]) -> Iterator[Heard]:
    """Every `next` until `complete`."""
    headers = {"authorization": f"Bearer {token}", "accept": "text/event-stream"}
    began, event = time.monotonic(), ""
    body = {"query": query, "variables": variables}
    with (
        httpx.Client(trust_env=False) as client,
        client.stream("POST", f"{url}/graphql", json=body, headers=headers, timeout=40) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                event = value
            elif name == "data" and event == "next":
                yield Heard(time.monotonic() - began, json.loads(value))
            else:
                assert line == "" or (event == "complete" and not value), line
        assert event == "complete"


CARRIERS = {"websocket": over_web_socket, "events": over_events}
