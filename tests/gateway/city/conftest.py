"""A gateway's node door on a real socket, and a node that signs by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hand_made_node import HandMadeNode
from tests.running import RunningGateway


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    running = RunningGateway(tmp_path)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def node(gateway: RunningGateway) -> HandMadeNode:
    return HandMadeNode(gateway, "01001")
