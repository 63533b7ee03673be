"""The HTTP door for nodes: enrolment and sync as Starlette routes, and the one shape of a refusal.

What happens behind the door is enrolment.py and sync.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.city.enrolment import EnrolmentDesk
from gateway.city.registry import Registry
from gateway.city.sync import SyncDesk
from gateway.errors import ClientError, NodeRefused, RateExceeded
from gateway.identity.key_ring import KeyRing
from gateway.settings import Settings
from gateway.store.engine import Store
from schema.messages import ENROL_PATH, SYNC_PATH, PublicKey, Refusal

_log = structlog.get_logger(__name__)


def node_routes(
    store: Store,
    registry: Registry,
    keys: KeyRing,
    gateway_key: PublicKey,
    settings: Settings,
    clock: Callable[[], datetime],
) -> list[Route]:
    """POST /nodes/enrol and POST /nodes/sync. clock gives aware times."""
    enrolment = EnrolmentDesk(store, registry, gateway_key, settings.enrolments_per_minute, clock)
    sync = SyncDesk(store, registry, keys, settings, clock)
    doors: Iterable[tuple[str, Callable[[Request], Awaitable[Response]]]] = (
        (ENROL_PATH, enrolment.answer),
        (SYNC_PATH, sync.answer),
    )
    return [Route(path, _refusing(answer, clock), methods=["POST"]) for path, answer in doors]


def _refusing(
    answer: Callable[[Request], Awaitable[Response]], clock: Callable[[], datetime]
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return await answer(request)
        except ClientError as error:
            reason = error.reason if isinstance(error, NodeRefused) else None
            _log.warning("node message refused", path=request.url.path, code=error.code, reason=reason)
            headers = {"retry-after": str(error.retry_after_seconds)} if isinstance(error, RateExceeded) else None
            return _answer(error.code, error.vi, error.en, error.status, headers)
        except Exception as error:  # noqa: BLE001 - the text of an unexpected error may quote a patient
            _log.error("node message failed", path=request.url.path, error=type(error).__name__)
            return _answer("INTERNAL_ERROR", "Lỗi nội bộ của cổng", "internal error of the gateway", 500, None)

    def _answer(code: str, vi: str, en: str, status: int, headers: dict[str, str] | None) -> Response:
        body = msgspec.json.encode(Refusal(code, vi, en, clock().timestamp()))
        return Response(body, status, headers, "application/json")

    return endpoint
