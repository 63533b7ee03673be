"""The demo as a program of its own, for tests: started like from a shell, asked with what its demo.json says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from compose.demo.process import free_port

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 180.0


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "compose.demo.run", *options]


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "DEMO_FOLDER": str(folder), "NO_COLOR": "1", "COLUMNS": "90"}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@dataclass
class RunningDemo:
    """A demo that is up, and what it handed out."""

    process: subprocess.Popen[str]
    folder: Path
    handout: dict[str, Any]

    @property
    def output(self) -> str:
        """What it printed so far, both outputs together."""
        return output_file(self.folder).read_text()

    def ask(self, role: str, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """A question over HTTP, with nothing but what demo.json says."""
        headers = {"authorization": f"Bearer {self.handout['tokens'][role]}"}
        answer = httpx.post(
            f"{self.handout['gateway']}/graphql",
            json={"query": query, "variables": variables},
            headers=headers,
            timeout=30,
        )
        decoded: dict[str, Any] = answer.json()
        return decoded

    def history(self, patient: dict[str, Any], role: str = "practitioner", **variables: Any) -> dict[str, Any]:
        """The printed question about one of the handed-out patients, on their grant."""
        query = self.handout["query"]
        about = {
            "by": {"kind": patient["kind"], "value": patient["value"]},
            "access": {**query["variables"]["access"], "evidence": patient["grant"]},
        }
        return self.ask(role, query["query"], {**query["variables"], **about, **variables})

    def person(self, value: str) -> dict[str, Any]:
        """A handed-out patient by number."""
        return next(p for p in self.handout["patients"] if p["value"] == value)


def output_file(folder: Path) -> Path:
    return folder.with_name("output.txt")


@contextmanager
def running_demo(folder: Path) -> Iterator[RunningDemo]:
    """A demo that is up; ended on leaving unless it has ended by then."""
    with output_file(folder).open("w") as output:
        process = subprocess.Popen(
            command("--port", str(free_port())),
            cwd=ROOT,
            env=environment(folder),
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    try:
        limit = time.monotonic() + START_SECONDS
        while "Ctrl-C" not in output_file(folder).read_text():
            assert process.poll() is None and time.monotonic() < limit, output_file(folder).read_text()
            time.sleep(0.1)
        yield RunningDemo(process, folder, json.loads((folder / "demo.json").read_text()))
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)
