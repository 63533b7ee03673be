"""Starting a whole city on this machine: a gateway and node agents as separate processes on loopback, embedded SQLite.

The demo, the end-to-end tests and the benchmarks all start cities through here, with the programs' own commands. Nothing
is simulated: nodes enrol with one-time codes, read their own folders and sync themselves.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from compose.demo.process import INSTALLED, LOOPBACK, LaunchFailed, Process, Programs, free_port, healthy, wait_for
from gateway.access.callers import Role
from gateway.access.issuer import DevelopmentIssuer
from schema.identity import Identifier

__all__ = [
    "LaunchFailed",
    "NodeSpec",
    "Process",
    "RunningCity",
    "free_port",
    "healthy",
    "launch",
    "wait_for",
    "write_toml",
]

FeedName = Literal["bhyt_xml", "fhir"]
SIDE_BY_SIDE = 3


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One hospital to start: its files are put into its inbox folder before it starts.

    advertised: from the node's own URL to the one it enrols with, where something stands between it and the gateway.
    also: further facilities of the same agent (code -> name). label: what the node is called in RunningCity.nodes, where
    its facility's code is another's. role: as in the node's settings.
    """

    facility: str
    name: str
    feed: FeedName
    files: Mapping[str, bytes] = field(default_factory=dict)
    identifier_systems: Mapping[str, str] = field(default_factory=dict)
    rhythm_seconds: int = 86_400
    advertised: Callable[[str], str] | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    also: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    role: str = "source"

    @property
    def key(self) -> str:
        """Its name among the city's nodes."""
        return self.label or self.facility

    @property
    def facilities(self) -> dict[str, str]:
        """Code -> name of all it serves."""
        return {self.facility: self.name, **self.also}


@dataclass(slots=True)
class RunningCity:
    """A started city. `nodes` by facility code, or label."""

    folder: Path
    gateway: Process
    nodes: dict[str, Process]
    issuer: DevelopmentIssuer

    def token(self, role: Role, subject: str, **claims: Any) -> str:
        """An access token of the development issuer."""
        return self.issuer.issue(role, subject, **claims)

    def ask(
        self, token: str, query: str, variables: Mapping[str, Any] | None = None, seconds: float = 30
    ) -> dict[str, Any]:
        """One GraphQL request over HTTP: the decoded answer, whatever its status."""
        headers = {"authorization": f"Bearer {token}"}
        body = {"query": query, "variables": variables or {}}
        answer = LOOPBACK.post(f"{self.gateway.url}/graphql", json=body, headers=headers, timeout=seconds)
        decoded: dict[str, Any] = answer.json()
        return decoded

    def give_grant(self, patient: Identifier, **terms: Any) -> str:
        """The patient gives a grant through the API, as the app of a citizen would; its id."""
        token = self.token(Role.CITIZEN, "citizen", identity=patient)
        query = "mutation($t: GrantInput!) { giveGrant(terms: $t) { id } }"
        answer = self.ask(token, query, {"t": {"days": 30, **terms}})
        return str(answer["data"]["giveGrant"]["id"])

    def loaded(self, facility: str) -> tuple[int, int]:
        """(files taken up, files in all) of a node's folder."""
        inbox = self.nodes[facility].folder / "inbox"
        done = sum(1 for part in ("processed", "failed") for _ in (inbox / part).glob("*")) if inbox.exists() else 0
        waiting = sum(1 for f in inbox.glob("*") if f.is_file())
        return done, done + waiting

    def settle(self, seconds: float = 300, progress: Callable[[int, int], None] | None = None) -> None:
        """Wait until every node has read its folder and told the gateway all it knows."""

        def settled() -> bool:
            counts = [self.loaded(code) for code in self.nodes]
            if progress:
                progress(sum(d for d, _ in counts), sum(n for _, n in counts))
            for node in self.nodes.values():
                node.alive()
            return all(d == n for d, n in counts) and all(
                (healthy(node.url) or {}).get("pending") == 0 for node in self.nodes.values()
            )

        wait_for("every hospital's files to be read", settled, seconds)

    def stop(self) -> None:
        """End every process; all are told before any is waited for."""
        processes = [*self.nodes.values(), self.gateway]
        for process in processes:
            if process.popen is not None and process.popen.poll() is None:
                process.popen.send_signal(signal.SIGCONT)
                process.popen.terminate()
        for process in processes:
            process.stop()


@contextmanager
def launch(
    folder: Path,
    specs: Sequence[NodeSpec],
    *,
    registered: Mapping[str, str] | None = None,
    gateway_port: int | None = None,
    gateway_options: Mapping[str, object] | None = None,
    node_options: Mapping[str, object] | None = None,
    programs: Programs = INSTALLED,
) -> Iterator[RunningCity]:
    """Start a city below `folder` (made, and expected to be empty); ends every process on leaving.

    registered: further facilities of the city that have no node (code -> name).
    """
    gateway = _gateway(folder / "gateway", gateway_port, gateway_options or {})
    gateway.programs = programs
    _run(gateway, "city-gateway", "init")
    _register(gateway, {**(registered or {}), **{c: n for s in specs for c, n in s.facilities.items()}})
    issuer = DevelopmentIssuer(folder / "gateway", True, time.time)
    nodes = {s.key: _node(folder, gateway, s, {**(node_options or {}), **s.options}) for s in specs}
    city = RunningCity(folder, gateway, nodes, issuer)

    def join(spec: NodeSpec) -> None:
        """A hospital's way into the city. The commands cost about a second each, so hospitals go side by side."""
        node = nodes[spec.key]
        node.programs = programs
        served = [word for code in spec.facilities for word in ("--facility", code)]
        role = [] if spec.role == "source" else ["--role", spec.role]
        code = _run(gateway, "city-gateway", "nodes", "invite", *served, *role).strip()
        url = spec.advertised(node.url) if spec.advertised else node.url
        gateway_up.result()
        _run(node, "node-agent", "enrol", "--gateway", gateway.url, "--code", code, "--url", url)
        node.start()

    try:
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            gateway_up = pool.submit(gateway.start)
            list(pool.map(join, specs))
            gateway_up.result()
        yield city
    finally:
        city.stop()


def _register(gateway: Process, names: Mapping[str, str]) -> None:
    file = gateway.folder / "facilities.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([("code", "name"), *sorted(names.items())])
    _run(gateway, "city-gateway", "facility", "import", str(file))


def _gateway(folder: Path, port: int | None, options: Mapping[str, object]) -> Process:
    folder.mkdir(parents=True)
    port = port or free_port()
    values = {"data_folder": str(folder), "listen_port": port, "demo_mode": True, **options}
    config = write_toml(folder / "gateway.toml", values)
    environment = _environment({"CITY_GATEWAY_CONFIG": str(config)})
    return Process("city-gateway", f"http://127.0.0.1:{port}", folder, ["city-gateway", "serve"], environment)


def _node(city_folder: Path, gateway: Process, spec: NodeSpec, options: Mapping[str, object]) -> Process:
    folder = city_folder / "nodes" / spec.key
    inbox = folder / "inbox"
    inbox.mkdir(parents=True)
    for name, content in spec.files.items():
        (inbox / name).write_bytes(content)
    port = free_port()
    feed = {"feed": spec.feed, "folder": str(inbox), "rhythm_seconds": spec.rhythm_seconds}
    values: dict[str, object] = {
        "data_folder": str(folder / "data"),
        "port": port,
        "poll_seconds": 0.2,
        "sync_seconds": 0.5,
        **options,
        "facilities": [{"code": code, "name": name} for code, name in spec.facilities.items()],
        "feeds": [feed],
    }
    if spec.role != "source":
        values = {"role": spec.role, **values}
    if spec.identifier_systems:
        values["identifier_systems"] = dict(spec.identifier_systems)
    config = write_toml(folder / "node.toml", values)
    environment = _environment({"NODE_AGENT_CONFIG": str(config)})
    url = f"http://127.0.0.1:{port}"
    return Process(f"node-agent {spec.key}", url, folder, ["node-agent", "serve"], environment)


def _run(process: Process, *command: str) -> str:
    done = process.programs.run(command, process.environment)
    if done.returncode:
        raise LaunchFailed(f"{' '.join(command[:3])}: {done.stderr or done.stdout}")
    return done.stdout


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CITY_GATEWAY_", "NODE_AGENT_"))}
    return {**kept, **own}


def write_toml(path: Path, values: Mapping[str, object]) -> Path:
    """Write settings as TOML: scalars first, then lists of tables and tables. JSON strings are valid TOML strings."""
    lines = [f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in values.items() if not isinstance(v, list | dict)]
    for key, value in values.items():
        if isinstance(value, list):
            for row in value:
                lines += [
                    "",
                    f"[[{key}]]",
                    *(f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in row.items()),
                ]
        elif isinstance(value, dict):
            lines += [
                "",
                f"[{key}]",
                *(f"{json.dumps(k)} = {json.dumps(v, ensure_ascii=False)}" for k, v in value.items()),
            ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
