"""Every error of the gateway, as one tree. Nothing here logs or answers; the edges (app, graph, routes) do.

GatewayError
├── ClientError              may be shown to whoever asked: code, Vietnamese and English
│   ├── EnrolmentRefused     ENROLMENT_REFUSED        the one-time code is wrong, used or expired
│   ├── WrongRole            ENROLMENT_ROLE           the code is for a node of another role
│   ├── NodeRefused          NODE_REFUSED             a node's request is not proven to be that node's
│   ├── MessageMalformed     MESSAGE_MALFORMED        not a message of this contract
│   ├── MessageTooLarge      MESSAGE_TOO_LARGE        more bytes or patients than one message may carry
│   ├── FacilityNotYours     FACILITY_NOT_YOURS       a node spoke for a facility it was not enrolled with
│   ├── RateExceeded         RATE_EXCEEDED            come back after retry_after_seconds
│   ├── StoreUnavailable     STORE_UNAVAILABLE        the gateway's own database cannot be used now
│   ├── UnknownFacility      UNKNOWN_FACILITY         no such facility is registered
│   └── KeyBehind            KEY_BEHIND               this gateway lacks the newest city key
└── InternalError            only logged; a client sees the code alone
    ├── SettingsInvalid      SETTINGS_INVALID         the configuration cannot be used
    ├── KeyUnusable          KEY_UNUSABLE             a key file is missing, damaged or readable by others
    ├── KeyStillNeeded       KEY_STILL_NEEDED         a key version cannot be made or retired now
    ├── IdentityUnknown      IDENTITY_UNKNOWN         an operator asked about a number or row that is not there
    ├── StoreUnusable        STORE_UNUSABLE           the data folder or the database fails a command
    └── StoreTooNew          STORE_TOO_NEW            the database was migrated by a newer release
"""

from __future__ import annotations


class GatewayError(Exception):
    """`code` never changes once published. Texts never hold patient data, tokens or secrets."""

    code = "GATEWAY_ERROR"

    def __init__(self, vi: str, en: str) -> None:
        super().__init__(f"{self.code}: {vi} / {en}")
        self.vi, self.en = vi, en


def bilingual(vi: str, en: str) -> str:
    """Both languages as one message: two sentences, Vietnamese first."""
    vi, en = vi.rstrip("."), en.rstrip(".")
    return f"{vi}. {en[:1].upper()}{en[1:]}."


class ClientError(GatewayError):
    """Safe to show. `status` is the HTTP status of routes that are not GraphQL."""

    code = "CLIENT_ERROR"
    status = 400


class InternalError(GatewayError):
    """Logged for the operator; clients see only the code."""

    code = "INTERNAL_ERROR"


class EnrolmentRefused(ClientError):
    """One answer for a wrong, a used and an expired code, so that guessing learns nothing."""

    code = "ENROLMENT_REFUSED"
    status = 403

    def __init__(self) -> None:
        super().__init__(
            "Mã ghi danh không dùng được; xin mã mới: city-gateway nodes invite",
            "the enrolment code cannot be used; ask for a new one: city-gateway nodes invite",
        )


class WrongRole(ClientError):
    """A hospital's code at a warehouse would hand it the hospital's place; the other way round the hospital would have none."""

    code = "ENROLMENT_ROLE"
    status = 403

    def __init__(self) -> None:
        super().__init__(
            "Mã ghi danh dành cho vai trò khác; so role trong cấu hình nút với city-gateway nodes invite --role",
            "the code is for another role; compare role in the node's settings with city-gateway nodes invite --role",
        )


class FacilityListUnusable(GatewayError):
    """A line of an operator's CSV; nothing of the file was stored."""

    code = "FACILITY_LIST_UNUSABLE"

    def __init__(self, line: int, vi: str, en: str) -> None:
        super().__init__(
            f"Dòng {line}: {vi}; chưa lưu cơ sở nào, sửa tệp rồi chạy lại",
            f"line {line}: {en}; nothing was stored, correct the file and run it again",
        )


class NodeRefused(ClientError):
    """One answer for every reason; `reason` (UNKNOWN_NODE, REVOKED, EXPIRED …) is for the log only."""

    code = "NODE_REFUSED"
    status = 401

    def __init__(self, reason: str) -> None:
        super().__init__(
            "Không xác thực được nút; kiểm tra đồng hồ, hoặc ghi danh lại: node-agent enrol",
            "the node could not be authenticated; check its clock, or enrol again: node-agent enrol",
        )
        self.reason = reason


class MessageMalformed(ClientError):
    """Says nothing of the content: a decoder's own text can quote a value."""

    code = "MESSAGE_MALFORMED"
    status = 400

    def __init__(self) -> None:
        super().__init__("Thông điệp sai cấu trúc", "the message does not have the contract's shape")


class MessageTooLarge(ClientError):
    """Beyond the limits of schema/messages.py."""

    code = "MESSAGE_TOO_LARGE"
    status = 413

    def __init__(self) -> None:
        super().__init__("Thông điệp quá lớn", "the message is too large")


class FacilityNotYours(ClientError):
    """The whole message is refused; a node in order never sends one."""

    code = "FACILITY_NOT_YOURS"
    status = 403

    def __init__(self) -> None:
        super().__init__(
            "Nút nêu cơ sở không thuộc ghi danh của mình; ghi danh lại với mã cho đủ cơ sở",
            "the node named a facility it is not enrolled with; enrol again with a code that covers it",
        )


class RateExceeded(ClientError):
    """Too much in too little time."""

    code = "RATE_EXCEEDED"
    status = 429

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("Gửi quá nhanh; thử lại sau", "too fast; try again later")
        self.retry_after_seconds = retry_after_seconds


class UnknownFacility(ClientError):
    """Named by an operator; codes are public."""

    code = "UNKNOWN_FACILITY"
    status = 404

    def __init__(self, facility: str) -> None:
        super().__init__(
            f"Chưa đăng ký cơ sở {facility}; thêm: city-gateway facility add",
            f"facility {facility} is not registered; add it: city-gateway facility add",
        )


class StoreUnavailable(ClientError):
    """Where nothing can be read nothing is known, which is not the same as nothing found."""

    code = "STORE_UNAVAILABLE"
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "Cổng chưa dùng được cơ sở dữ liệu của mình; thử lại sau",
            "the gateway cannot use its own database now; try again later",
        )


class KeyBehind(ClientError):
    """The city has a newer key than this gateway: it would find patients nowhere. Fails closed until the file is there."""

    code = "KEY_BEHIND"
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "Cổng này chưa có khoá thành phố mới nhất; báo quản trị",
            "this gateway does not have the newest city key; tell its operator",
        )


class SettingsInvalid(InternalError):
    """The text names the file and each key."""

    code = "SETTINGS_INVALID"


class KeyUnusable(InternalError):
    """The text names the file, never its content."""

    code = "KEY_UNUSABLE"


class KeyStillNeeded(InternalError):
    """The text counts what is left, by node; it names no patient."""

    code = "KEY_STILL_NEEDED"


class IdentityUnknown(InternalError):
    """The text does not repeat what was typed."""

    code = "IDENTITY_UNKNOWN"


class StoreUnusable(InternalError):
    """A full disk, a damaged file, no permission. `reason` quotes no statement."""

    code = "STORE_UNUSABLE"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"Không dùng được thư mục dữ liệu hoặc cơ sở dữ liệu ({reason}); xem data_folder, chỗ trống trên đĩa và quyền ghi",
            f"the data folder or the database cannot be used ({reason}); look at data_folder, free space and permissions",
        )


class StoreTooNew(InternalError):
    """Running an old release on a new database would damage it."""

    code = "STORE_TOO_NEW"
