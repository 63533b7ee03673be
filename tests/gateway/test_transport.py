"""Both transports over real sockets: a body or a named fault, on time, and no socket left open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from compose.demo.process import free_port
from gateway.live.call_transport import CallTransport
from gateway.transport import TRANSPORTS, Fault, Transport, TransportError
from tests.gateway.misbehaving import CAP, Misbehaving
from tests.running import wait_until

SECONDS = 5.0
EVERY = {**TRANSPORTS, "call": CallTransport}


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    made = Misbehaving()
    yield made
    made.close()


@pytest.fixture(params=EVERY)
async def transport(request: pytest.FixtureRequest, anyio_backend: str) -> Any:
    made = EVERY[request.param](20)
    yield made
    await made.close()


async def fault(transport: Transport, url: str, seconds: float = SECONDS) -> tuple[Fault, int | None]:
    with pytest.raises(TransportError) as caught:
        await transport.post(url, b"{}", {}, seconds, CAP)
    return caught.value.fault, caught.value.status


@pytest.mark.anyio
async def test_a_body_and_headers_arrive_and_the_answer_comes_back(transport: Transport, server: Misbehaving) -> None:
    sent = "Nguyễn \x00 😀".encode() * 1000
    assert (
        await transport.post(f"{server.url}/echo", sent, {"authorization": "Bearer t", "x-a": "1"}, SECONDS, CAP)
        == sent
    )
    head = server.requests[0][0].lower()
    assert head.startswith(b"post /echo ") and b"authorization: bearer t" in head and b"x-a: 1" in head
    assert await transport.post(f"{server.url}/chunked", b"", {}, SECONDS, CAP) == b"abcde"
    assert await transport.post(f"{server.url}/echo", b"", {}, SECONDS, CAP) == b""


@pytest.mark.anyio
async def test_no_compressed_answer_is_asked_for_and_none_is_unpacked(
    transport: Transport, server: Misbehaving
) -> None:
    assert await transport.post(f"{server.url}/gzip", b"", {}, SECONDS, CAP) == b"abc"
    asked = [line for line in server.requests[0][0].lower().split(b"\r\n") if line.startswith(b"accept-encoding:")]
    assert asked in ([], [b"accept-encoding: identity"])


@pytest.mark.anyio
@pytest.mark.parametrize("status", [201, 204, 400, 401, 403, 404, 500, 503])
async def test_any_status_but_200_is_a_fault_that_names_it(
    transport: Transport, server: Misbehaving, status: int
) -> None:
    assert await fault(transport, f"{server.url}/{status}") == (Fault.STATUS, status)


@pytest.mark.anyio
async def test_a_redirect_is_not_followed(transport: Transport, server: Misbehaving) -> None:
    assert await fault(transport, f"{server.url}/redirect") == (Fault.STATUS, 302)
    assert len(server.requests) == 1


@pytest.mark.anyio
async def test_a_proxy_of_the_environment_is_not_used(
    transport: Transport, server: Misbehaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert await transport.post(f"{server.url}/echo", b"x", {}, SECONDS, CAP) == b"x"


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["half", "garbage", "nothing"])
async def test_a_connection_that_breaks_is_unreachable(transport: Transport, server: Misbehaving, path: str) -> None:
    assert await fault(transport, f"{server.url}/{path}") == (Fault.UNREACHABLE, None)


@pytest.mark.anyio
async def test_a_refused_connection_is_unreachable_at_once(transport: Transport) -> None:
    start = time.monotonic()
    assert await fault(transport, f"http://127.0.0.1:{free_port()}/echo") == (Fault.UNREACHABLE, None)
    assert time.monotonic() - start < 2


@pytest.mark.anyio
async def test_a_body_of_exactly_the_cap_passes_and_one_byte_more_does_not(
    transport: Transport, server: Misbehaving
) -> None:
    assert len(await transport.post(f"{server.url}/big", b"", {}, SECONDS, CAP)) == CAP
    assert await fault(transport, f"{server.url}/toobig") == (Fault.TOO_LARGE, None)


@pytest.mark.anyio
async def test_an_endless_body_is_cut_at_the_cap_and_the_server_sees_it(
    transport: Transport, server: Misbehaving
) -> None:
    start = time.monotonic()
    assert await fault(transport, f"{server.url}/endless") == (Fault.TOO_LARGE, None)
    assert time.monotonic() - start < 2
    await seen_closed(server, "/endless", 1)  # at once: the call's own time is SECONDS


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/hang", "/drip", "/slowhead"])
async def test_what_is_too_slow_is_cut_on_time_and_the_server_sees_it(
    transport: Transport, server: Misbehaving, path: str
) -> None:
    start = time.monotonic()
    assert await fault(transport, server.url + path, 0.3) == (Fault.TIMED_OUT, None)
    assert 0.25 < time.monotonic() - start < 1
    await seen_closed(server, path)


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/drip", "/endless"])
async def test_a_call_cancelled_while_its_body_comes_closes_its_socket_at_once(
    transport: Transport, server: Misbehaving, path: str
) -> None:
    await cancelled(transport, server.url + path, SECONDS, 2**40)
    await seen_closed(server, path, 1)


@pytest.mark.anyio
async def test_a_call_cancelled_before_its_head_closes_its_socket_when_its_time_is_over_at_the_latest(
    transport: Transport, server: Misbehaving
) -> None:
    await cancelled(transport, f"{server.url}/hang", 0.6, CAP)
    await seen_closed(server, "/hang", 1)


async def cancelled(transport: Transport, url: str, seconds: float, cap: int) -> None:
    call = asyncio.create_task(transport.post(url, b"", {}, seconds, cap))
    await asyncio.sleep(0.1)
    start = time.monotonic()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert time.monotonic() - start < 0.2


async def seen_closed(server: Misbehaving, path: str, seconds: float = 1) -> None:
    limit = time.monotonic() + seconds
    while path not in server.closed:
        assert time.monotonic() < limit, "the server still sees an open connection"
        await asyncio.sleep(0.01)


@pytest.mark.anyio
@pytest.mark.parametrize("name", EVERY)
async def test_calls_one_after_another_share_a_connection_or_leave_none_behind(name: str, server: Misbehaving) -> None:
    transport = EVERY[name](20)
    for n in range(20):
        assert await transport.post(f"{server.url}/echo", str(n).encode(), {}, SECONDS, CAP) == str(n).encode()
    assert server.connections == (20 if name == "call" else 1)
    if name == "call":
        await asyncio.to_thread(wait_until, lambda: server.open == 0, 3)
    await transport.close()


@pytest.mark.anyio
async def test_a_call_that_may_be_given_up_closes_its_socket_at_once_before_any_answer(server: Misbehaving) -> None:
    await cancelled(CallTransport(20), f"{server.url}/hang", 60, CAP)
    await seen_closed(server, "/hang", 1)


@pytest.mark.anyio
async def test_a_header_cannot_start_another_one() -> None:
    with pytest.raises(TransportError):
        await CallTransport().post("http://127.0.0.1:9/x", b"", {"authorization": "x\r\nx: y"}, 1, CAP)


@pytest.mark.anyio
async def test_parallel_answers_are_not_mixed_up_and_no_more_calls_are_in_flight_than_may_be(
    transport: Transport, server: Misbehaving
) -> None:
    bodies = [str(n).encode() * 50 for n in range(60)]
    assert await asyncio.gather(*(transport.post(f"{server.url}/later", b, {}, SECONDS, CAP) for b in bodies)) == bodies
    # Not `connections`: pyreqwest at times opens one that it then need not use.
    assert 10 < server.most_at_once <= 20


@pytest.mark.anyio
async def test_a_node_that_failed_answers_again_over_the_same_transport(
    transport: Transport, server: Misbehaving
) -> None:
    for path in ("half", "hang", "garbage"):
        await fault(transport, f"{server.url}/{path}", 0.2)
        assert await transport.post(f"{server.url}/echo", b"x", {}, SECONDS, CAP) == b"x"


@pytest.mark.anyio
@pytest.mark.parametrize("name", EVERY)
async def test_one_nodes_full_pool_does_not_hold_up_another(name: str) -> None:
    transport, slow, quick = EVERY[name](2), Misbehaving(), Misbehaving()
    try:
        hanging = [asyncio.create_task(fault(transport, f"{slow.url}/hang", 0.6)) for _ in range(4)]
        await asyncio.sleep(0.1)
        start = time.monotonic()
        assert await transport.post(f"{quick.url}/echo", b"x", {}, SECONDS, CAP) == b"x"
        assert time.monotonic() - start < 0.4
        assert slow.open == 2
        ends = [f for f, _ in await asyncio.gather(*hanging)]
        assert set(ends) <= {Fault.TIMED_OUT, Fault.OVER_BUDGET}
    finally:
        await transport.close()
        slow.close()
        quick.close()


@pytest.mark.anyio
@pytest.mark.parametrize("name", TRANSPORTS)
async def test_closing_closes_every_idle_connection(name: str, server: Misbehaving) -> None:
    transport = TRANSPORTS[name](20)
    await transport.post(f"{server.url}/echo", b"x", {}, SECONDS, CAP)
    assert server.open == 1
    await transport.close()
    await asyncio.to_thread(wait_until, lambda: server.open == 0, 3)
