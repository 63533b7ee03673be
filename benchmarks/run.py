"""`make bench`: CPU per query of the node and of the gateway with 1, 5 and 42 hospitals, beside the floor program.

20 encounters a hospital with 3 diagnoses and 4 prescription lines each. CPU of the measured process only, in milliseconds
per query (the same number as seconds per 1,000 queries). Wall times are printed for orientation and promise nothing.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import first_part, gateway, node


def floor(base: str, hospitals: int, queries: int) -> float:
    """CPU milliseconds per query of the floor program."""
    command = [sys.executable, "-m", "benchmarks.floor", base, str(hospitals), str(queries)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0])


def main() -> None:
    """Measure and print."""
    console = Console()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        console.print("node: 20 encounters over SQLite …")
        result, recorded = node.measure(folder / "node", 1_000)
        table = Table("what", "hospitals", "CPU ms/query", "floor", "wall ms", "answer kB", "memory MB")
        python = result["cpu_ms"] - result["statement_ms"]
        console.print(f"node: {python:.2f} ms of Python, {result['statement_ms']:.2f} ms in the one SQLite statement")
        table.add_row(
            "node", "-", f"{result['cpu_ms']:.2f}", "", "", f"{result['bytes'] / 1e3:.0f}", f"{result['memory_mb']:.0f}"
        )
        with gateway.replaying(folder, recorded) as base:
            for hospitals, queries in ((1, 2_000), (5, 2_000), (42, 600)):
                console.print(f"gateway: {hospitals} hospitals …")
                r = gateway.measure(folder / f"gateway{hospitals}", base, hospitals, queries)
                table.add_row(
                    "gateway",
                    str(hospitals),
                    f"{r['cpu_ms']:.2f}",
                    f"{floor(base, hospitals, queries):.2f}",
                    f"{r['wall_ms']:.1f}",
                    f"{r['bytes'] / 1e3:.0f}",
                    f"{r['memory_mb']:.0f}",
                )
        console.print("subscription: one of three hospitals takes 3 s …")
        first = first_part.measure(folder / "first", 100)
    console.print(table)
    ratio = first["first_part_ms"] / first["alone_ms"]
    console.print(
        f"first part, one of three hospitals taking 3 s: p50 {first['first_part_ms']:.1f} ms; a query to a fast one alone "
        f"{first['alone_ms']:.1f} ms (x{ratio:.2f}, wanted: at most 1.3); that node as the gateway saw it {first['node_ms']:.0f} ms"
    )


if __name__ == "__main__":
    main()
