"""`city-gateway identity …`: why a number leads where it does, what is quarantined, unlinking. Lists no people.

A number or token is typed at a prompt or piped in, never an argument: arguments stay in process lists and shell histories.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from gateway.errors import IdentityUnknown
from gateway.identity import inspection, splits
from gateway.identity.choice import Apart, Withheld
from gateway.identity.city_key import TOKEN_BYTES
from gateway.identity.key_ring import LiveKeys, load_keys
from gateway.settings import Settings
from gateway.store.command import with_store
from gateway.store.engine import Store
from schema.identity import IdentifierError, IdentifierKind, canonical

app = typer.Typer(no_args_is_help=True, help="Nhận dạng người bệnh. Who is one person.")
Kind = Annotated[
    IdentifierKind | None,
    typer.Option(help="Loại số sẽ nhập; bỏ trống: nhập token. Of the number typed; none: a token."),
]
SAYINGS = {
    "KEPT": ("cho xem", "shown"),
    Withheld.IDENTITY_CONFLICT.value: ("giữ lại: mâu thuẫn", "withheld: something contradicts"),
    Withheld.IDENTITY_DOUBTFUL.value: ("giữ lại: chưa chắc là người này", "withheld: may be somebody else's"),
    Withheld.IDENTITY_QUARANTINED.value: ("giữ lại: số của quá nhiều người", "withheld: on too many people"),
    Apart.OTHER_PERSON.value: ("người khác: ngày sinh hoặc giới khác", "somebody else: birth date or sex differs"),
    Apart.UNLINKED.value: ("đã tách", "unlinked"),
}
AGREES = {True: ("khớp", "agree"), False: ("khác", "differ"), None: ("thiếu", "unknown")}


def typed(prompt: str) -> str:
    """One line from the terminal, or from a pipe without a prompt."""
    if sys.stdin.isatty():
        return str(typer.prompt(prompt, err=True)).strip()
    return sys.stdin.readline().strip()


def asked(keys: LiveKeys, kind: IdentifierKind | None) -> tuple[bytes, ...]:
    """The tokens of what is typed now. Raises IdentityUnknown, which does not repeat it."""
    text = typed("Token (hex)" if kind is None else f"Số {kind.value} / {kind.value} number")
    try:
        if kind is not None:
            return keys.tokens(kind, canonical(kind, text).value)
        token = bytes.fromhex(text)
    except (IdentifierError, ValueError):
        token = b""
    if len(token) != 1 + TOKEN_BYTES:
        raise IdentityUnknown("Số hoặc token không đúng dạng", "not the form of such a number or token")
    return (token,)


async def told(store: Store, tokens: tuple[bytes, ...]) -> list[inspection.Verdict]:
    """Prints the rows with their numbers. Raises IdentityUnknown when there is none."""
    lines = await inspection.explain(inspection.people_of(store), tokens)
    if not lines:
        raise IdentityUnknown("Không cơ sở nào có số này", "no facility has this number")
    for number, line in enumerate(lines, 1):
        kind = line.row.kind.value
        way = (f"liên kết qua {kind}", f"linked by {kind}") if line.linked else (f"có {kind}", f"has {kind}")
        doubtful = (" · có thể của cha mẹ", " · may carry a parent's card") if line.row.doubtful else ("", "")
        reason, fits = SAYINGS[line.reason], AGREES[line.agrees]
        typer.echo(
            f"{number}. {line.row.facility} · {line.reason} · {way[0]} · {reason[0]} · ngày sinh và giới {fits[0]}{doubtful[0]}"
            f"\n   {way[1]} · {reason[1]} · birth date and sex {fits[1]}{doubtful[1]}"
        )
    return lines


@app.command("explain")
def explain(kind: Kind = None) -> None:
    """Số dẫn tới đâu và vì sao. Which rows a number reaches, links or withholds, and why."""

    async def work(store: Store, settings: Settings) -> None:
        await told(store, asked(load_keys(settings), kind))

    with_store(work)


@app.command("quarantine")
def quarantine() -> None:
    """Các số của quá nhiều người. Numbers on too many people: digest, kind, how many, where; never whose."""

    async def work(store: Store, _settings: Settings) -> list[inspection.Quarantined]:
        return await inspection.quarantined(store)

    for line in with_store(work):
        where = ", ".join(line.facilities)
        typer.echo(f"{line.digest}  {line.kind.value}  {line.persons} người/persons  {len(line.facilities)}: {where}")


@app.command("unlink")
def unlink(kind: Kind = None) -> None:
    """Tách. Prints as `explain`, then reads one row's number (it is not this identifier's) or two (not one person)."""

    async def work(store: Store, settings: Settings) -> int:
        live = load_keys(settings)
        tokens = asked(live, kind)
        lines = await told(store, tokens)
        words = typed("Một hoặc hai số dòng / one or two row numbers").replace(",", " ").split()
        chosen = [int(w) for w in words if w.isdecimal() and 1 <= int(w) <= len(lines)]
        if len(chosen) != len(words) or not 1 <= len(set(chosen)) == len(chosen) <= 2:
            raise IdentityUnknown("Cần một hoặc hai số dòng ở trên", "one or two of the row numbers above are needed")
        rows = [lines[number - 1].row for number in chosen]
        if len(rows) == 2:
            return await splits.unlink(store, rows[0].key, rows[1].key, datetime.now(UTC))
        numbers = tokens
        if kind is None:
            numbers = await splits.under_every_key(store, next(x.row for x in lines if not x.linked), live)
        return await splits.unlink(store, rows[0].key, numbers, datetime.now(UTC))

    line = with_store(work)
    typer.echo(f"Đã tách, dòng {line}; gỡ: city-gateway identity rejoin {line} / unlinked; take back as above")


@app.command("rejoin")
def rejoin(
    line: Annotated[int, typer.Argument(help="Như trong identity splits. As identity splits shows it.")],
) -> None:
    """Gỡ một dòng tách. Takes an unlinking back, by its line."""
    with_store(lambda store, _: splits.rejoin(store, line, datetime.now(UTC)))
    typer.echo(f"Đã gỡ dòng tách {line} / unlinking {line} taken back")


@app.command("splits")
def list_splits() -> None:
    """Các dòng tách đang hiệu lực. Unlinkings that stand: line, facilities, when."""
    for split in with_store(lambda store, _: splits.standing(store)):
        typer.echo(f"{split.id}  {split.facility_a}  {split.facility_b or 'số/number'}  {split.at}")
