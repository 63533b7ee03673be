"""`python -m compose.demo.run`: five hospitals and a gateway as processes of this machine, one history asked and printed.

Orchestration only. The city is launch.py, the question question.py, how it is printed timeline.py, what is handed out
handout.py. The answer goes to standard output, everything about the run to standard error.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from compose.demo import handout, place
from compose.demo.data import City, build_city
from compose.demo.launch import LaunchFailed, NodeSpec, RunningCity, free_port, launch
from compose.demo.patients import choose, give_grants
from compose.demo.process import ROOT
from compose.demo.question import QUERY, variables
from compose.demo.timeline import show_answer, show_errors

GATEWAY_PORT = 8100
IDENTIFIER_SYSTEMS = {"cccd": "CCCD", "cmnd": "CMND", "bhyt": "BHXH"}
# Nodes that wait for a hospital look every few seconds; a demo is watched.
NODE_OPTIONS = {"poll_seconds": 0.3, "sync_seconds": 2.0}
SAY_EVERY_SECONDS = 5.0
INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Say = Callable[[str], None]


class Stopped(BaseException):
    """SIGINT, SIGTERM or SIGHUP: the way out of a demo that is up. Not an Exception, so that nothing swallows it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 when the answer had data and no errors, 130 when stopped before it, 1 otherwise."""
    options = _options(arguments)
    told = Console(stderr=True, soft_wrap=True)
    for number in SIGNALS:
        signal.signal(number, _stop)
    try:
        return _run(options, told)
    except (place.PlaceRefused, LaunchFailed) as error:
        told.print(Text(str(error), style="red"))
        return 1
    except Stopped:
        told.print(Text("Đã dừng giữa chừng / stopped before the answer."))
        return INTERRUPTED


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m compose.demo.run",
        description="Năm bệnh viện, một câu hỏi. Five hospitals and a gateway on this machine, one history across them.",
    )
    parser.add_argument("--exit", action="store_true", help="dừng sau khi in / end after printing")
    parser.add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help="json: chỉ in câu trả lời / the answer only",
    )
    parser.add_argument("--port", type=int, help=f"cổng mạng của gateway / the gateway's port (default {GATEWAY_PORT})")
    parser.add_argument(
        "--folder",
        type=Path,
        help=f"thư mục làm việc / working folder (default {place.FOLDER_VARIABLE} or .demo)",
    )
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace, told: Console) -> int:
    folder: Path = (options.folder or place.default_folder(ROOT)).absolute()
    place.make_anew(folder)
    port = _port(options.port, told)
    started = time.monotonic()

    def say(text: str) -> None:
        told.print(Text(f"[{time.monotonic() - started:4.1f} s] {text}", style="dim"))

    made = build_city()
    say(f"Đã dựng dữ liệu / data made: {len(made.people)} người / people, {len(made.files)} tệp / files")
    say("Đang khởi động cổng và năm nút / starting the gateway and five node agents …")
    with launch(folder, _specs(made), gateway_port=port, node_options=NODE_OPTIONS) as city:
        try:
            return _show(options, city, made, folder, told, say)
        finally:
            _ignore_signals()  # the processes are being ended now, whatever else is pressed
            handout.remove(folder)


def _show(options: argparse.Namespace, city: RunningCity, made: City, folder: Path, told: Console, say: Any) -> int:
    place.note_processes(folder, [p.pid for p in (city.gateway, *city.nodes.values())])
    say("Sáu chương trình đang chạy / six programs are up")
    _load(city, told)
    say("Mọi tệp đã nạp, cổng đã biết mọi người bệnh / every file read, every patient known to the gateway")
    people = give_grants(city, choose(made.truth))
    given = handout.tokens(city, people)
    showcase = people[0]
    asked = variables(showcase.person.identifier, showcase.grant)
    answer = city.ask(given["practitioner"], QUERY, asked)
    say("Đã hỏi một bệnh sử thống nhất / one unified history asked")
    good = _print(answer, options.format)
    if not options.exit:
        try:
            handout.write(folder, handout.handout(city, people, given))
            handout.show(told if options.format == "json" else Console(), folder, city)
            told.print(Text("Ctrl-C để dừng / to stop", style="bold"))
            while True:
                signal.pause()
        except Stopped:
            told.print(Text("Đang dừng / stopping …"))
    return 0 if good else 1


def _print(answer: Mapping[str, Any], form: str) -> bool:
    """Prints the answer; whether it had the patient's data and no errors."""
    data = (answer.get("data") or {}).get("patient") or {}
    good = data.get("patient") is not None and not answer.get("errors")
    if form == "json":
        sys.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2) + "\n")
    else:
        console = Console()
        show_errors(console, answer)
        if data:
            show_answer(console, answer)
    sys.stdout.flush()
    return good


def _specs(made: City) -> list[NodeSpec]:
    """One node a hospital, each with its own files in its inbox folder."""
    systems = {f"http://fhir.vn/sid/{name}": kind for name, kind in IDENTIFIER_SYSTEMS.items()}
    systems |= {f"http://fhir.vn/sid/passport/{p.nationality}": "PASSPORT" for p in made.people if p.passport}
    return [
        NodeSpec(
            f.code,
            f.name,
            "fhir" if f.feed == "fhir" else "bhyt_xml",
            {file.name: file.data for file in made.files if file.facility == f.code},
            systems if f.feed == "fhir" else {},
        )
        for f in made.facilities
    ]


def _load(city: RunningCity, told: Console) -> None:
    """Waits until every file is read, with a bar on a terminal and a line now and then elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=told, disable=not told.is_terminal) as bar:
        task = bar.add_task("Đang nạp tệp của năm bệnh viện / reading five hospitals' files")
        last = time.monotonic()

        def progress(done: int, total: int) -> None:
            nonlocal last
            bar.update(task, completed=done, total=total)
            if not told.is_terminal and time.monotonic() - last > SAY_EVERY_SECONDS:
                last = time.monotonic()
                told.print(Text(f"Đang nạp / reading: {done}/{total} tệp / files", style="dim"))

        city.settle(progress=progress)


def _port(wanted: int | None, told: Console) -> int:
    """The wanted port; without one the usual port, or another when that is taken."""
    if wanted is not None:
        if not 1 <= wanted <= 65_535 or not _free(wanted):
            raise LaunchFailed(
                f"Cổng mạng {wanted} không dùng được hoặc đang có chương trình khác; chọn PORT khác.\n"
                f"Port {wanted} cannot be used or is taken; choose another PORT."
            )
        return wanted
    if _free(GATEWAY_PORT):
        return GATEWAY_PORT
    other = free_port()
    told.print(Text(f"Cổng mạng {GATEWAY_PORT} đang bận, dùng {other} / port {GATEWAY_PORT} is taken, using {other}"))
    return other


def _free(port: int) -> bool:
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port whose last connections still linger is free
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _stop(_number: int, _frame: FrameType | None) -> None:
    _ignore_signals()
    raise Stopped


def _ignore_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    raise SystemExit(main())
