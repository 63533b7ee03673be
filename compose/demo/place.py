"""The demo's folder: whose it is, whether a demo runs in it, and making it anew. What is written there is handout.py."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

HANDOUT = "demo.json"
MARK = "demo.pid"  # made first, so that only a folder of ours is ever removed
FOLDER_VARIABLE = "DEMO_FOLDER"
_PROGRAMS = (b"node-agent", b"city-gateway", b"compose.demo")


class PlaceRefused(Exception):
    """The folder cannot be used; the text says what to do, in Vietnamese and English."""


def default_folder(root: Path) -> Path:
    """DEMO_FOLDER, or .demo in the repository."""
    return Path(os.environ.get(FOLDER_VARIABLE) or root / ".demo").absolute()


def make_anew(folder: Path) -> None:
    """Removes what an earlier demo left and makes the folder, readable by its owner alone. Raises PlaceRefused."""
    if pids := running(folder):
        numbers = " ".join(map(str, pids))
        raise PlaceRefused(
            f"Đã có buổi trình diễn chạy ở {folder} (tiến trình {numbers}). Dừng nó bằng Ctrl-C ở cửa sổ của nó; nếu"
            f" cửa sổ ấy không còn: kill {numbers}. Hoặc chạy chỗ khác: DEMO_FOLDER=... make demo\n"
            f"A demo is running in {folder} (processes {numbers}). Stop it with Ctrl-C in its own terminal; if that"
            f" is gone: kill {numbers}. Or run elsewhere: DEMO_FOLDER=... make demo"
        )
    if folder.exists():
        if not folder.is_dir() or (any(folder.iterdir()) and not (folder / MARK).is_file()):
            raise PlaceRefused(
                f"{folder} có sẵn và không do buổi trình diễn tạo ra nên không xoá; chọn chỗ khác hoặc tự xoá.\n"
                f"{folder} exists and was not made by a demo, so it is left alone; choose another or remove it."
            )
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700, parents=True)
    note_processes(folder, [])


def note_processes(folder: Path, pids: Iterable[int]) -> None:
    """Writes down the runner and what it started, for whoever starts a demo here after a crash of this one."""
    (folder / MARK).write_text("".join(f"{pid}\n" for pid in (os.getpid(), *pids)))


def running(folder: Path) -> list[int]:
    """The live processes of a demo in this folder: its runner, or programs that outlived it. Empty when there are none."""
    pids: list[int] = []
    with suppress(OSError, ValueError):
        pids += [int(line) for line in (folder / MARK).read_text().split()]
    with suppress(OSError, ValueError, KeyError, TypeError):
        pids += [int(node["pid"]) for node in json.loads((folder / HANDOUT).read_bytes())["nodes"]]
    return [pid for pid in dict.fromkeys(pids) if pid != os.getpid() and _alive(pid)]


def _alive(pid: int) -> bool:
    """Whether this process is one of ours: after a restart of the machine a number may belong to anybody."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        return any(name in Path(f"/proc/{pid}/cmdline").read_bytes() for name in _PROGRAMS)
    except OSError:
        return True  # no /proc here
