"""The command `city-gateway`: keys, facilities, invitations, and starting the server. What they mean is elsewhere."""

from __future__ import annotations

import importlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from gateway.access import issuer
from gateway.city import enrolment, registry
from gateway.city.facility_list import is_code, read_facilities
from gateway.errors import ClientError, GatewayError, StoreUnusable
from gateway.identity import cli as identity_cli
from gateway.identity import rotation
from gateway.identity.city_key import create_city_key
from gateway.identity.key_ring import key_files, load_keys
from gateway.keys import create_signing_key, load_signing_key, refuse_repository
from gateway.settings import CONFIG_VARIABLE, Settings, load_settings
from gateway.store.command import with_store
from gateway.store.engine import Store
from gateway.store.tables import NODE, NODE_POSITION
from schema.messages import NodeRole
from schema.scalars import local_time

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Cổng truy vấn của thành phố. The city's query gateway."
)
key = typer.Typer(no_args_is_help=True, help="Khoá. Keys.")
facility = typer.Typer(no_args_is_help=True, help="Cơ sở khám chữa bệnh. Facilities.")
nodes = typer.Typer(no_args_is_help=True, help="Nút tại cơ sở. Node agents.")
app.add_typer(key, name="key")
app.add_typer(facility, name="facility")
app.add_typer(nodes, name="nodes")
app.add_typer(issuer.app, name="token")
app.add_typer(identity_cli.app, name="identity")


@app.callback()
def configure(
    config: Annotated[
        Path | None, typer.Option(help="Tệp cấu hình TOML. Settings file.", envvar=CONFIG_VARIABLE)
    ] = None,
) -> None:
    """Every command reads the same settings."""
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config)


@app.command()
def init() -> None:
    """Tạo khoá thành phố, khoá ký và cơ sở dữ liệu. Makes the keys and the database; keeps what exists."""
    settings = load_settings()
    if not settings.demo_mode:
        refuse_repository(settings.city_key_file)
    for path, there, create in (
        (settings.city_key_file, bool(key_files(settings)), create_city_key),
        (settings.signing_key_file, settings.signing_key_file.exists(), create_signing_key),
    ):
        if not there:
            create(path)
            typer.echo(f"Đã tạo {path} / made {path}")
    load_signing_key(settings.signing_key_file, settings.demo_mode)
    _settle()
    show_fingerprint()


def _settle() -> None:
    """Migrates the database and tells it of the keys that are there."""
    with_store(lambda store, settings: rotation.settle_keys(store, load_keys(settings), datetime.now(UTC)))


@key.command("show-fingerprint")
def show_fingerprint() -> None:
    """Dấu vân tay của khoá thành phố, để so hai bản sao. Compares two copies of the city key; tells nothing of it."""
    for city_key in load_keys(load_settings()).keys:
        typer.echo(city_key.fingerprint())


@key.command("rotate")
def rotate() -> None:
    """Tạo phiên bản khoá mới. Makes a new key version; nodes tell their patients again by themselves, queries go on."""
    live = with_store(lambda store, settings: rotation.rotate(store, settings, datetime.now(UTC)))
    typer.echo(
        f"Đã tạo khoá phiên bản {live.newest.version}; sao lưu ngay, rồi chờ và chạy: city-gateway key retire\n"
        f"Made key version {live.newest.version}; back it up now, then wait and run: city-gateway key retire"
    )


@key.command("retire")
def retire(
    without: Annotated[
        list[str] | None,
        typer.Option(help="Bỏ dữ liệu định vị của nút này. Gives up what this node told; several times allowed."),
    ] = None,
) -> None:
    """Bỏ phiên bản cũ. Ends the older key version; refused while anything is known under it alone."""
    old = with_store(lambda store, settings: rotation.retire(store, settings, datetime.now(UTC), without or ()))
    typer.echo(f"Đã bỏ khoá phiên bản {old}; huỷ các bản sao / key version {old} is retired; destroy its copies")


@facility.command("add")
def facility_add(
    code: Annotated[str, typer.Argument(help="MA_CSKCB: 5 chữ số hoặc chữ hoa. 5 digits or capital letters.")],
    name: Annotated[str, typer.Argument(help="Tên; mã đã có thì đổi tên. The name; a known code is renamed.")],
) -> None:
    """Đăng ký một cơ sở (MA_CSKCB). Registers a facility; from now on every ledger counts it."""
    if not is_code(code):
        raise typer.BadParameter("MA_CSKCB có 5 chữ số hoặc chữ hoa / is 5 digits or capital letters")
    renamed = with_store(lambda store, _: registry.register_facility(store, code, name, datetime.now(UTC)))
    typer.echo(f"Đã đổi tên / renamed: {code} {name}" if renamed else f"Đã đăng ký / registered: {code} {name}")


@facility.command("import")
def facility_import(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV UTF-8: code,name.")],
) -> None:
    """Đăng ký cả danh sách. Registers a whole list, all or none; facilities that are not in it stay as they are."""
    names = read_facilities(file.read_bytes())
    new, renamed = with_store(lambda store, _: registry.register_facilities(store, names, datetime.now(UTC)))
    typer.echo(
        f"{len(names)} cơ sở: {new} mới, {renamed} đổi tên / {len(names)} facilities: {new} new, {renamed} renamed"
    )


@nodes.command("invite")
def nodes_invite(
    facility: Annotated[list[str], typer.Option(help="MA_CSKCB; nhiều lần được. May be given several times.")],
    role: Annotated[
        str, typer.Option(help="source, hoặc warehouse cho kho bản sao. Or warehouse for copies.")
    ] = "source",
) -> None:
    """In mã ghi danh dùng một lần. Prints a one-time code, which is shown only now."""
    if role.upper() not in NodeRole.__members__:
        raise typer.BadParameter("source hoặc warehouse / source or warehouse")

    async def work(store: Store, settings: Settings) -> tuple[str, int]:
        days = settings.invitation_days
        return await enrolment.invite(store, facility, datetime.now(UTC), days, NodeRole(role.upper())), days

    code, days = with_store(work)
    typer.echo(code)
    typer.echo(f"Dùng một lần, trong {days} ngày / good once, for {days} days", err=True)


@nodes.command("list")
def nodes_list() -> None:
    """Các nút, cơ sở, vị trí đồng bộ. Nodes with their facilities and how far each was synced."""

    async def work(store: Store, _settings: Settings) -> tuple[registry.City, dict[str, Any]]:
        async with store.reading() as connection:
            positions = await connection.execute(
                select(NODE.c.id, NODE_POSITION.c.accepted).join(NODE_POSITION, NODE_POSITION.c.node == NODE.c.pk)
            )
            accepted = {row.id: row.accepted for row in positions}
        return await registry.read_city(store), accepted

    city, accepted = with_store(work)
    if not city.facilities:
        typer.echo("Chưa có cơ sở nào / no facility yet: city-gateway facility add", err=True)
    for node in city.nodes.values():
        state = ("REVOKED" if node.revoked else "ENROLLED") + (" WAREHOUSE" if node.warehouse else "")
        typer.echo(
            f"{node.id}  {state}  {node.url}  contract {node.contract_version}  position {accepted.get(node.id, 0)}"
        )
    for f in city.facilities.values():
        synced = local_time(f.synced_at.timestamp()) if f.synced_at else "-"
        lagging = "LAGGING" if f.lagging else "-"
        typer.echo(f"  {f.code}  {f.name}  {f.node_id or 'NOT_CONNECTED'}  synced {synced}  {lagging}")
        for copy in city.copies.get(f.code, ()):
            synced = local_time(copy.synced_at.timestamp()) if copy.synced_at else "-"
            typer.echo(f"    copies at {copy.node_id}  synced {synced}  {'LAGGING' if copy.lagging else '-'}")


@nodes.command("revoke")
def nodes_revoke(node_id: Annotated[str, typer.Argument(help="Như trong nodes list. As nodes list shows it.")]) -> None:
    """Thu hồi một nút. Refuses a node from its next message on; its facilities stay in every ledger."""
    if not with_store(lambda store, _: enrolment.revoke(store, node_id, datetime.now(UTC))):
        typer.echo(f"Không có nút {node_id} đang hoạt động / no active node {node_id}", err=True)
        raise typer.Exit(1)
    typer.echo(f"Đã thu hồi / revoked: {node_id}")


@app.command()
def serve() -> None:
    """Chạy cổng. Starts the server."""
    _settle()  # keys or a database that cannot be used are told in two lines; the server would print a traceback
    importlib.import_module("gateway.app").serve(load_settings())


@app.command()
def sdl() -> None:
    """In lược đồ GraphQL. Prints the schema."""
    typer.echo(importlib.import_module("gateway.graph").sdl())


def main() -> None:
    """Runs a command; an error of ours becomes two lines on standard error and exit code 1, never a traceback."""
    try:
        app()
    except GatewayError as error:
        _fail(error)
    except (OSError, SQLAlchemyError) as error:
        cause = getattr(error, "orig", None) or error
        known = [getattr(cause, name, None) for name in ("filename", "sqlite_errorname", "sqlstate")]
        _fail(StoreUnusable(" ".join([type(cause).__name__, *(str(word) for word in known if word)])))


def _fail(error: GatewayError) -> NoReturn:
    typer.echo(f"{error.code}: {error.vi}\n{error.code}: {error.en}", err=True)
    raise SystemExit(2 if isinstance(error, ClientError) else 1)


if __name__ == "__main__":
    main()
