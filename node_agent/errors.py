"""The node's own errors: a stable code, and what, where, why and what to do in Vietnamese and English. No patient data.

Errors that a feed finds in bytes are values, not exceptions: FeedError in records.py.
"""

from __future__ import annotations


class NodeError(Exception):
    """`code` never changes once published; `vi` and `en` may be shown to an operator."""

    code = "NODE_ERROR"

    def __init__(self, vi: str, en: str) -> None:
        super().__init__(f"{self.code}: {vi} / {en}")
        self.vi, self.en = vi, en


class SettingsInvalid(NodeError):
    """The configuration cannot be used; the text names the file and each key."""

    code = "SETTINGS_INVALID"


class KeyUnusable(NodeError):
    """The record key file is damaged, so record ids would change."""

    code = "KEY_UNUSABLE"


class StoreTooNew(NodeError):
    """The database was migrated by a newer release than this one."""

    code = "STORE_TOO_NEW"


class StoreUnreachable(NodeError):
    """The PostgreSQL server does not let this node in; the text names the driver's error by its type alone."""

    code = "STORE_UNREACHABLE"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"Không vào được PostgreSQL ({reason}); xem database_url, inbox_url và máy chủ",
            f"cannot enter PostgreSQL ({reason}); see database_url, inbox_url and the server",
        )


class StoreUnusable(NodeError):
    """The data folder or a database fails a command: a full disk, a damaged file, no permission. `reason` quotes no statement."""

    code = "STORE_UNUSABLE"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"Không dùng được thư mục dữ liệu hoặc cơ sở dữ liệu ({reason}); xem data_folder, chỗ trống trên đĩa và quyền ghi",
            f"the data folder or a database cannot be used ({reason}); look at data_folder, free space and permissions",
        )


class StoreEncodingWrong(NodeError):
    """The PostgreSQL database keeps text in another encoding, which has no place for some of what hospitals send."""

    code = "STORE_ENCODING_WRONG"

    def __init__(self, encoding: str) -> None:
        super().__init__(
            f"Cơ sở dữ liệu dùng bảng mã {encoding}; tạo lại với ENCODING 'UTF8'",
            f"the database's encoding is {encoding}; make it anew with ENCODING 'UTF8'",
        )


class InboxItemNotFound(NodeError):
    """No inbox item has that number."""

    code = "INBOX_ITEM_NOT_FOUND"

    def __init__(self, pk: int) -> None:
        super().__init__(
            f"Hộp nhận không có mục {pk}; xem danh sách: node-agent inbox list",
            f"the inbox has no item {pk}; see node-agent inbox list",
        )


class FeedNotConfigured(NodeError):
    """This node has no such feed in its settings."""

    code = "FEED_NOT_CONFIGURED"

    def __init__(self, feed: str) -> None:
        super().__init__(
            f"Nguồn {feed} chưa khai báo; thêm [[feeds]] vào tệp cấu hình",
            f"feed {feed} is not configured; add it under [[feeds]] in the settings file",
        )


class UnitError(NodeError):
    """A unit that cannot be stored; the rest of its file can. `table` and `field` say where."""

    def __init__(self, vi: str, en: str, table: str | None = None, field: str | None = None) -> None:
        super().__init__(vi, en)
        self.table, self.field = table, field


class ContractViolation(UnitError):
    """A feed made a body that the contract (schema/clinical.py) does not allow: a fault of the feed, not of the hospital."""

    code = "CONTRACT_VIOLATION"

    def __init__(self, table: str, field: str, vi: str, en: str) -> None:
        super().__init__(f"{table}.{field}: {vi}", f"{table}.{field}: {en}", table, field)


class UnknownPatient(UnitError):
    """The unit names a patient by local id alone, and nothing received so far says who that is."""

    code = "UNKNOWN_PATIENT"

    def __init__(self) -> None:
        super().__init__(
            "Hồ sơ chỉ nêu mã người bệnh mà cơ sở chưa gửi thông tin; gửi Patient rồi: node-agent inbox replay",
            "the records name a patient the node has not received; send the Patient, then node-agent inbox replay",
        )


class UnknownFacility(UnitError):
    """The unit belongs to a facility this node does not serve."""

    code = "UNKNOWN_FACILITY"

    def __init__(self) -> None:
        super().__init__(
            "Cơ sở của hồ sơ không có trong [[facilities]] của nút này",
            "the unit's facility is not among this node's [[facilities]]",
        )
