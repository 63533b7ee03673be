"""One program as a process of its own: started, found healthy, stopped. Which programs make a city is launch.py."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
# One client for all: making one reads every certificate authority of the machine, of which plain loopback needs none.
LOOPBACK = httpx.Client(verify=False, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
PORTS = (16_384, 32_000)
_given_ports: set[int] = set()


class LaunchFailed(Exception):
    """A process did not start or ended; the text holds the end of its log."""


class Running(Protocol):
    """A started program; as subprocess.Popen has it."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...

    def kill(self) -> None: ...

    def terminate(self) -> None: ...


class Programs(Protocol):
    """How `city-gateway` and `node-agent` are run. command: the program's name and its arguments."""

    def start(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Running:
        """Start it, both outputs appended to `log`."""

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""


class Installed:
    """As anybody runs them: the commands of this environment."""

    def start(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Running:
        """See Programs."""
        with log.open("ab") as out:
            # A group of its own: Ctrl-C in a terminal is for whoever started the city, who then stops it in order.
            return subprocess.Popen(
                self._line(command),
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                env=dict(environment),
                process_group=0,
            )

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """See Programs."""
        line = self._line(command)
        return subprocess.run(line, capture_output=True, text=True, cwd=ROOT, env=dict(environment), check=False)

    def _line(self, command: Sequence[str]) -> list[str]:
        return [str(Path(sys.executable).parent / command[0]), *command[1:]]


INSTALLED = Installed()


@dataclass(slots=True)
class Process:
    """One running program and where it can be reached."""

    name: str
    url: str
    folder: Path
    command: Sequence[str]
    environment: Mapping[str, str]
    programs: Programs = INSTALLED
    popen: Running | None = None

    @property
    def pid(self) -> int:
        """The process id; LaunchFailed when it does not run."""
        if self.popen is None:
            raise LaunchFailed(f"{self.name} is not running")
        return self.popen.pid

    @property
    def log(self) -> Path:
        """Standard output and error of the process."""
        return self.folder / "log.txt"

    def start(self) -> None:
        """Start it; returns when /health answers."""
        self.popen = self.programs.start(self.command, self.environment, self.log)
        wait_for(f"{self.name} to start", lambda: self.alive() and healthy(self.url) is not None)

    def alive(self) -> bool:
        """Whether it runs; LaunchFailed with its last lines when it ended by itself."""
        code = self.popen.poll() if self.popen is not None else None
        if code is not None:
            tail = self.log.read_text(errors="replace")[-2_000:]
            raise LaunchFailed(f"{self.name} ended with {code}:\n{tail}")
        return self.popen is not None

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it and wait."""
        if self.popen is None:
            return
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGCONT)
            self.popen.send_signal(how)
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait(10)
        self.popen = None


def free_port() -> int:
    """A port nobody listens on now and that was not handed out before.

    Below those that systems give to outgoing connections, one of which could take it before the program listens.
    """
    while True:
        port = random.randrange(*PORTS)
        if port in _given_ports:
            continue
        _given_ports.add(port)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def healthy(url: str) -> dict[str, Any] | None:
    """What /health says, or None."""
    try:
        answer = LOOPBACK.get(f"{url}/health", timeout=2)
    except httpx.HTTPError:
        return None
    return answer.json() if answer.status_code == 200 else None


def wait_for(what: str, ready: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    """Poll until ready; LaunchFailed after the limit."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise LaunchFailed(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.1)
