"""Prints both schemas into schema/*.graphql, or says whether they are up to date. Run as `python -m schema.sdl`.

The imports are by name at run time: the contract imports neither side, this command only asks each to print itself.
"""

from __future__ import annotations

import importlib
from pathlib import Path

FILES = {"gateway.graphql": "gateway.graph", "node.graphql": "node_agent.graph"}
FOLDER = Path(__file__).parent


def printed(name: str) -> str:
    """The schema as the code has it."""
    text: str = importlib.import_module(FILES[name]).sdl()
    return text


def main() -> None:
    """Write both files."""
    for name in FILES:
        (FOLDER / name).write_text(printed(name), encoding="utf-8")


if __name__ == "__main__":
    main()
