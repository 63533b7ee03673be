"""Sync after either side came back from a backup: what it lost is told again."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from tests.running import RunningGateway, wait_until
from tests.running_node import RunningNode, found, number


def test_a_gateway_restored_from_a_backup_gets_what_it_lost(
    gateway: RunningGateway, node: RunningNode, tmp_path: Path
) -> None:
    node.put("1", number(10))
    node.start()
    wait_until(lambda: bool(found(gateway, number(10))))
    node.stop()
    gateway.stop()
    backup(gateway.database, tmp_path / "backup.db")
    gateway.start()
    node.put("2", number(20))
    node.start()
    wait_until(lambda: bool(found(gateway, number(20))))
    gateway.stop()
    restore(tmp_path / "backup.db", gateway.database)
    gateway.start()
    assert found(gateway, number(20)) == []
    wait_until(lambda: found(gateway, number(20)) == ["ref-01001-2"])


def test_a_node_restored_from_a_backup_tells_what_it_learned_since(
    gateway: RunningGateway, node: RunningNode, tmp_path: Path
) -> None:
    store = node.settings.data_folder / "store.db"
    node.put("1", number(10))
    node.start()
    wait_until(lambda: gateway.rows("SELECT accepted FROM node_position") == [(1,)])
    node.stop()
    backup(store, tmp_path / "backup.db")
    for i in (20, 30, 40):
        node.put(str(i), number(i))
    node.start()
    wait_until(lambda: bool(found(gateway, number(40))))
    node.stop()
    restore(tmp_path / "backup.db", store)
    node.put("50", number(50))  # takes a position of the log that the gateway has seen under another patient
    node.start()
    wait_until(lambda: bool(found(gateway, number(50))))


def backup(database: Path, copy: Path) -> None:
    source, target = sqlite3.connect(database), sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.close()


def restore(copy: Path, database: Path) -> None:
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    shutil.copy(copy, database)
