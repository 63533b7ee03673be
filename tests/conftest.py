"""What every test may need: the event loop that async tests run on."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """asyncio, as both programs."""
    return "asyncio"
