"""The programs' own `main`, each in a process of its own, forked from one that has imported both already.

Importing takes a second of CPU, and the tests start some five hundred processes. How a user starts them is tried in
tests/end_to_end/test_demo.py, tests/node_agent/test_cli.py and wherever a test asks for compose.demo.process.INSTALLED.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from compose.demo.process import ROOT, Running

MAINS = {"city-gateway": "gateway.cli", "node-agent": "node_agent.cli"}
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([*MAINS.values(), "gateway.app", "node_agent.app", __name__])


class Forked:
    """See compose.demo.process.Programs."""

    def start(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Running:
        """See Programs."""
        return _Child(command, environment, log, log)

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """See Programs."""
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder) / "out", Path(folder) / "err"
            code = _Child(command, environment, out, err).wait()
            return subprocess.CompletedProcess(list(command), code, out.read_text(), err.read_text())


FORKED = Forked()
# Starting a process looks at all others too, and of two threads that read one exit code the second is told 255.
_ONE_AT_A_TIME = threading.Lock()


class _Child:
    """A forked process with the face of a Popen."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], out: Path, err: Path) -> None:
        arguments = (tuple(command), dict(environment), str(out), str(err))
        self._process: ForkServerProcess = _CONTEXT.Process(target=_main, args=arguments, daemon=True)
        with _ONE_AT_A_TIME:
            self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        with _ONE_AT_A_TIME:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        connection.wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("forked", timeout or 0)
        return code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> None:
        self._process.terminate()


def _main(command: tuple[str, ...], environment: dict[str, str], out: str, err: str) -> None:
    os.setpgid(0, 0)
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environment)
    for path, number in ((os.devnull, 0), (out, 1), (err, 2)):
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.argv = list(command)
    importlib.import_module(MAINS[command[0]]).main()
