"""The city keys that are live: one, or two while one replaces the other. Making and retiring versions is rotation.py.

A key's version is in its file's name: city.key is `city_key_version`, city.2.key is version 2. The folder is looked at
again every KEYS_FRESH_SECONDS, so that a running gateway follows `city-gateway key rotate` and `retire` by itself.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from gateway.errors import KeyUnusable
from gateway.identity.city_key import CityKey, load_city_key
from gateway.settings import Settings
from schema.identity import IdentifierKind

KEYS_FRESH_SECONDS = 1.0
_NAME = re.compile(r"city\.(\d{1,3})\.key", re.ASCII)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LiveKeys:
    """Oldest first; never empty. All that a patient has under the oldest is whole until that version is retired."""

    keys: tuple[CityKey, ...]

    @property
    def primary(self) -> CityKey:
        """What page cursors and pairwise ids are made with: it stays the same for as long as it lives."""
        return self.keys[0]

    @property
    def newest(self) -> CityKey:
        """What will stay."""
        return self.keys[-1]

    def tokens(self, kind: IdentifierKind, value: str) -> tuple[bytes, ...]:
        """The patient token of a canonical value under each live key, oldest first."""
        return tuple(key.patient_token(kind, value) for key in self.keys)


class KeyRing:
    """The live keys of a data folder. clock: monotonic seconds."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._seen = _look(settings)
        self._live = load_keys(settings)
        self._checked = clock()

    def live(self, again: bool = False) -> LiveKeys:
        """The keys as they are now. again: look at the folder whatever the time; somebody knows of a newer key."""
        now = self._clock()
        if again or now - self._checked >= KEYS_FRESH_SECONDS:
            self._checked = now
            seen = _look(self._settings)
            if seen != self._seen:
                try:
                    self._live, self._seen = load_keys(self._settings), seen
                except KeyUnusable as error:  # half a copy, say: what is loaded serves on
                    _log.error("city keys cannot be read again", code=error.code)
        return self._live


def key_files(settings: Settings) -> dict[int, Path]:
    """Version -> file of every live key, oldest first."""
    found = {settings.city_key_version: settings.city_key_file} if settings.city_key_file.exists() else {}
    for path in settings.data_folder.glob("city.*.key"):
        if name := _NAME.fullmatch(path.name):
            found[int(name[1])] = path
    return dict(sorted(found.items()))


def load_keys(settings: Settings) -> LiveKeys:
    """Every live key. Raises KeyUnusable, also when there is none."""
    files = key_files(settings) or {settings.city_key_version: settings.city_key_file}
    return LiveKeys(tuple(load_city_key(path, version, settings.demo_mode) for version, path in files.items()))


def _look(settings: Settings) -> list[tuple[str, int, int]]:
    try:
        with os.scandir(settings.data_folder) as entries:
            keys = [e for e in entries if e.name == settings.city_key_file.name or _NAME.fullmatch(e.name)]
            return sorted((e.name, e.inode(), e.stat().st_mtime_ns) for e in keys)
    except OSError:
        return []
