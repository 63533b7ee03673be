"""What a running demo hands to people and scripts: demo.json with addresses, tokens and patients, and the closing lines.

The files exist only while the demo is up. Nothing here starts, asks or stops anything.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from compose.demo.launch import RunningCity
from compose.demo.patients import Granted
from compose.demo.place import HANDOUT
from compose.demo.question import ASKING_DOCTOR, ASKING_FACILITY, FIRST_QUERY, QUERY, variables
from gateway.access.callers import Role

TOKEN_SECONDS = 12 * 3600
REQUEST, FIRST_REQUEST = "query.json", "history.json"  # bodies: of the printed question, of the README's first query
TOKEN = "doctor.token"


def tokens(city: RunningCity, people: Sequence[Granted]) -> dict[str, str]:
    """An access token of each kind of caller; the citizen is the first of the people."""
    licence = ASKING_DOCTOR.licence
    citizen = people[0].person.identifier
    return {
        "practitioner": city.token(
            Role.PRACTITIONER, "demo-doctor", facility=ASKING_FACILITY, licence=licence, seconds=TOKEN_SECONDS
        ),
        "citizen": city.token(Role.CITIZEN, "demo-citizen", identity=citizen, seconds=TOKEN_SECONDS),
        "operator": city.token(Role.OPERATOR, "demo-operator", seconds=TOKEN_SECONDS),
        "analyst": city.token(Role.ANALYST, "demo-analyst", seconds=TOKEN_SECONDS),
    }


def handout(city: RunningCity, people: Sequence[Granted], given: dict[str, str]) -> dict[str, Any]:
    """The content of demo.json."""
    showcase = people[0]
    return {
        "gateway": city.gateway.url,
        "nodes": [{"facility": code, "url": n.url, "pid": n.pid} for code, n in city.nodes.items()],
        "tokens": given,
        "patients": [person.as_json() for person in people],
        "query": {"query": QUERY, "variables": variables(showcase.person.identifier, showcase.grant)},
    }


def write(folder: Path, content: dict[str, Any]) -> None:
    """demo.json, and what a curl line needs as files of their own; each at once and for the owner only."""
    first = content["patients"][0]
    asked = {"query": FIRST_QUERY, "variables": {"cccd": first["value"], "grant": first["grant"]}}
    for name, value in ((REQUEST, content["query"]), (FIRST_REQUEST, asked), (HANDOUT, content)):
        _replace(folder / name, json.dumps(value, ensure_ascii=False, indent=2) + "\n")
    _replace(folder / TOKEN, content["tokens"]["practitioner"])


def remove(folder: Path) -> None:
    """The demo ends: nothing points to it any more."""
    for name in (HANDOUT, REQUEST, FIRST_REQUEST, TOKEN):
        (folder / name).unlink(missing_ok=True)


def _replace(path: Path, text: str) -> None:
    half = path.with_name(f".{path.name}.part")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    half.replace(path)


def curl_line(folder: Path, gateway: str) -> str:
    """A line to paste into a shell: asks the printed question again. The token stays in its file."""
    token = f"$(cat {shlex.quote(str(_near(folder / TOKEN)))})"
    body = shlex.quote(f"@{_near(folder / REQUEST)}")
    return f'curl -s {gateway}/graphql -H "authorization: Bearer {token}" -H "content-type: application/json" -d {body}'


def _near(path: Path) -> Path:
    """The shorter of the absolute path and the one from here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def show(console: Console, folder: Path, city: RunningCity) -> None:
    """Where everything is, a ready curl line, and how to stop."""
    lines = [
        f"Cổng / gateway   {city.gateway.url}/graphql",
        *(f"{node.name:<16} {node.url}" for node in city.nodes.values()),
        f"Mã truy cập, người bệnh, câu hỏi / tokens, patients, query: {_near(folder / HANDOUT)}",
        "Hỏi lại / ask again:",
    ]
    console.print()
    for line in lines:
        console.print(Text(line))
    # Not wrapped: a line broken by the width could not be pasted.
    console.print(Text(curl_line(folder, city.gateway.url)), soft_wrap=True)
