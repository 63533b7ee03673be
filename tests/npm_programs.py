"""Running the outside programs of tests/npm: installed from its lock file with `npm ci`, once for each lock file's content."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent / "npm"
STAMP = FOLDER / "node_modules" / ".installed-from"
INSTALL_SECONDS = 300
RUN_SECONDS = 120


def node_js() -> str:
    """The node program. Where Node.js or npm is missing the test is skipped with a warning; on CI (CI=true) it fails."""
    node = shutil.which("node")
    if node is not None and shutil.which("npm") is not None:
        return node
    reason = "WARNING: conformance NOT checked, neither GraphQL over HTTP nor federation: install Node.js 20 with npm"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def install() -> None:
    """`npm ci`, unless this very lock file was installed before. Of several test processes one does it."""
    with (FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install()


def _install() -> None:
    wanted = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return
    npm = shutil.which("npm")
    assert npm is not None
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
    assert done.returncode == 0, f"npm ci failed:\n{done.stdout}{done.stderr}"
    STAMP.write_text(wanted)


def run(script: str, *arguments: str) -> dict[str, Any]:
    """The JSON object that a script of tests/npm prints, whatever its exit code."""
    node = node_js()
    install()
    command = [node, str(FOLDER / script), *arguments]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False, timeout=RUN_SECONDS)
    assert done.stdout, f"{script} printed nothing:\n{done.stderr}"
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed
