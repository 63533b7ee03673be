"""The command `node-agent`: joining the city, serving, and looking after the inbox. What the commands do is elsewhere.

Prints no patient data, except the raw bytes an operator asks for with `inbox show --raw`.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import httpx
import msgspec
import typer
from sqlalchemy.exc import SQLAlchemyError

from node_agent.enrolment import enrol as enrol_node
from node_agent.enrolment import load_enrolment
from node_agent.errors import NodeError, StoreUnusable
from node_agent.feeds.table import feed_parsers
from node_agent.inbox import Inbox, Item, State, local_text
from node_agent.ingest import Ingest, ReceiveResult
from node_agent.problem import Severity
from node_agent.settings import CONFIG_VARIABLE, Settings, load_settings
from node_agent.store.engine import Store, open_store
from node_agent.store.migrate import prepare
from schema.elements import Feed

T = TypeVar("T")
LABELS = {
    "number": "số mục",
    "feed": "nguồn",
    "name": "tệp",
    "state": "trạng thái",
    "error_code": "mã lỗi",
    "received_at": "nhận lúc",
    "attempts": "số lần đọc",
    "units": "đợt đã lưu",
    "bytes": "số byte",
    "sha256": "băm",
}
app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Nút tại bệnh viện. The agent beside a hospital's HIS."
)
inbox = typer.Typer(no_args_is_help=True, help="Hộp nhận: mọi tệp đã nhận, nguyên vẹn. Everything received, untouched.")
app.add_typer(inbox, name="inbox")


@app.callback()
def configure(
    config: Annotated[
        Path | None, typer.Option(help="Tệp cấu hình TOML. Settings file.", envvar=CONFIG_VARIABLE)
    ] = None,
) -> None:
    """Every command reads the same settings."""
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config)


def _with_store(work: Callable[[Store, Settings], Awaitable[T]]) -> T:
    settings = load_settings()

    async def run() -> T:
        store = open_store(settings)
        try:
            await prepare(store, settings)
            return await work(store, settings)
        finally:
            await store.close()

    return asyncio.run(run())


async def _nothing_more(_store: Store, _settings: Settings) -> None:
    """The store is made and migrated; that was all."""


def _now() -> datetime:
    return datetime.now(UTC)


def _ingest(store: Store, settings: Settings) -> Ingest:
    return Ingest(store, settings, feed_parsers(settings), _now)


@app.command()
def init() -> None:
    """Tạo cơ sở dữ liệu và khoá. Makes the databases and the record key; keeps what exists."""

    _with_store(_nothing_more)
    typer.echo(f"Sẵn sàng / ready: {load_settings().data_folder}")


@app.command()
def enrol(
    gateway: Annotated[str, typer.Option(help="Địa chỉ cổng thành phố. The gateway's URL.")],
    code: Annotated[str, typer.Option(help="Mã ghi danh dùng một lần. The one-time code.")],
    url: Annotated[
        str | None,
        typer.Option(
            help="Địa chỉ cổng gọi đến nút này; mặc định http://host:port. Where the gateway reaches this node."
        ),
    ] = None,
) -> None:
    """Gia nhập thành phố. Joins the city with a one-time code."""
    settings = load_settings()

    async def work() -> str:
        async with httpx.AsyncClient(trust_env=False, timeout=15) as client:
            own = url or f"http://{settings.host}:{settings.port}"
            return (await enrol_node(settings, gateway, code, own, client)).node_id

    settings.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    typer.echo(f"Đã ghi danh / enrolled: {asyncio.run(work())}")


@app.command()
def receive(
    files: Annotated[list[Path], typer.Argument(help="Các tệp. The files.")],
    feed: Annotated[str, typer.Option(help="Nguồn: bhyt_xml, fhir. The feed.")] = "bhyt_xml",
) -> None:
    """Nhận tệp ngay. Takes files into the inbox and ingests them now."""

    async def work(store: Store, settings: Settings) -> list[ReceiveResult]:
        ingest = _ingest(store, settings)
        return [await ingest.receive(Feed(feed.upper()), path.name, path.read_bytes()) for path in files]

    if feed.upper() not in Feed.__members__:
        raise typer.BadParameter(f"không có nguồn này / no such feed: {feed}")
    for path in files:
        if not path.is_file() or not os.access(path, os.R_OK):
            raise typer.BadParameter(f"không có tệp, hoặc không đọc được / no such file, or not readable: {path}")
    _report(_with_store(work))


@app.command()
def serve() -> None:
    """Chạy nút. Starts the server, the watched folders and sync."""
    _with_store(_nothing_more)  # a store that cannot be used is told in two lines; the server would print a traceback
    importlib.import_module("node_agent.app").serve(load_settings())


@app.command()
def sdl() -> None:
    """In lược đồ GraphQL. Prints the schema."""
    typer.echo(importlib.import_module("node_agent.graph").sdl(), nl=False)


@app.command()
def status() -> None:
    """Tình trạng: ghi danh, hộp nhận. Enrolment and the inbox in numbers."""
    joined = load_enrolment(load_settings())
    items = _with_store(lambda store, _: Inbox(store, _now).items())
    typer.echo(f"Ghi danh / enrolled: {joined.node_id if joined else '-'}")
    for state in State:
        typer.echo(f"{state.value:10} {sum(item.state is state for item in items)}")


@inbox.command("list")
def inbox_list(
    state: Annotated[State | None, typer.Option(help="Chỉ các mục ở trạng thái này. Only these.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Dạng JSON. As JSON.")] = False,
) -> None:
    """Danh sách mục. The items, oldest first."""
    items = _with_store(lambda store, _: Inbox(store, _now).items(state))
    if as_json:
        typer.echo(msgspec.json.encode([_row(item) for item in items]).decode())
        return
    if not items:
        typer.echo("Không có mục nào / no such item", err=True)
    for item in items:
        code = item.error_code or "-"
        typer.echo(
            f"{item.pk:6}  {local_text(item.received_at)}  {item.feed.value:9} {item.state.value:9} {code:22} {item.name}"
        )


@inbox.command("show")
def inbox_show(
    number: Annotated[int, typer.Argument(help="Số mục. The item's number.")],
    raw: Annotated[bool, typer.Option("--raw", help="In nguyên bytes. The bytes as received.")] = False,
) -> None:
    """Một mục: vì sao lỗi, ở đâu. One item: what failed, where, and why."""
    if raw:
        sys.stdout.buffer.write(_with_store(lambda store, _: Inbox(store, _now).content(number)))
        return

    async def work(store: Store, _settings: Settings) -> None:
        box = Inbox(store, _now)
        item = await box.item(number)
        for key, value in _row(item).items():
            typer.echo(f"{LABELS[key] + ' / ' + key:28} {value if value is not None else '-'}")
        for p in await box.problems(number):
            where = "/".join(part for part in (p.table, p.field) if part)
            typer.echo(
                "  ".join([f"{p.severity.value:6} {p.code}", p.place, *([where] if where else []), f"x{p.count}"])
            )
            if p.reason_vi:
                typer.echo(f"       {p.reason_vi}\n       {p.reason_en}")

    _with_store(work)


@inbox.command("replay")
def inbox_replay(
    number: Annotated[int | None, typer.Argument(help="Số mục. The item's number.")] = None,
    state: Annotated[State | None, typer.Option(help="Mọi mục ở trạng thái này. All in this state.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Mọi mục. All of them.")] = False,
) -> None:
    """Đọc lại sau khi sửa. Ingests items again; the same bytes give the same store."""
    if sum((number is not None, state is not None, everything)) != 1:
        raise typer.BadParameter("cần một trong: số mục, --state, --all / give one of: a number, --state, --all")

    async def work(store: Store, settings: Settings) -> list[ReceiveResult]:
        ingest = _ingest(store, settings)
        if number is not None:
            return [await ingest.ingest(number)]
        items = await ingest.inbox.items(state)
        return [await ingest.ingest(item.pk) for item in items if item.state is not State.DUPLICATE]

    _report(_with_store(work))


def _row(item: Item) -> dict[str, object]:
    return {
        "number": item.pk,
        "feed": item.feed.value,
        "name": item.name,
        "state": item.state.value,
        "error_code": item.error_code,
        "received_at": local_text(item.received_at),
        "attempts": item.attempts,
        "units": item.units,
        "bytes": item.size,
        "sha256": item.sha256,
    }


def _report(results: list[ReceiveResult]) -> None:
    """A line an item; exit code 1 when any part of any failed."""
    for r in results:
        errors = [p for p in r.errors if p.severity is Severity.ERROR]
        typer.echo(f"{r.pk:6}  {r.state.value:9} {r.units} đợt / units  {errors[0].code if errors else ''}")
    if any(r.state in (State.FAILED, State.PARTIAL) for r in results):
        typer.echo("Xem lỗi: node-agent inbox show SỐ / see why: node-agent inbox show NUMBER", err=True)
        raise typer.Exit(1)


def main() -> None:
    """Runs a command; an error of ours becomes two lines on standard error and exit code 1, never a traceback."""
    try:
        app()
    except NodeError as error:
        _fail(error)
    except (OSError, SQLAlchemyError) as error:
        cause = getattr(error, "orig", None) or error
        known = [getattr(cause, name, None) for name in ("filename", "sqlite_errorname", "sqlstate")]
        _fail(StoreUnusable(" ".join([type(cause).__name__, *(str(word) for word in known if word)])))


def _fail(error: NodeError) -> NoReturn:
    typer.echo(f"{error.code}: {error.vi}\n{error.code}: {error.en}", err=True)
    raise SystemExit(1)


if __name__ == "__main__":
    main()
