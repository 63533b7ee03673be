"""The gateway's settings: one frozen value, read once at start from a TOML file and CITY_GATEWAY_* variables.

A variable wins over the file; lists and tables in a variable are JSON. Unknown keys are refused in both. Nothing here
opens a file other than the settings file, or talks to anyone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from gateway.errors import SettingsInvalid
from schema.bad_settings import faults, unreadable
from schema.identity import IdentifierKind
from schema.messages import BATCH_LIMIT

PREFIX = "CITY_GATEWAY_"
CONFIG_VARIABLE = "CITY_GATEWAY_CONFIG"
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]


class Issuer(BaseModel):
    """Who may issue access tokens: exactly one of jwks_file and jwks_url says where the public keys are."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    issuer: str
    audience: str
    jwks_file: Path | None = None
    jwks_url: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Issuer:
        if (self.jwks_file is None) == (self.jwks_url is None):
            raise ValueError("cần đúng một trong jwks_file và jwks_url", "give exactly one of jwks_file and jwks_url")
        if self.jwks_url is not None and not self.jwks_url.startswith("https://"):
            raise ValueError("jwks_url phải là https", "jwks_url must be https")
        return self


class Settings(BaseSettings):
    """All that a gateway can be told; seconds carry their unit, options are positive."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    data_folder: Path
    database_url: str = ""  # empty: SQLite in data_folder
    listen_host: str = "127.0.0.1"
    listen_port: Annotated[int, Field(ge=0, le=65_535)] = 8100
    demo_mode: bool = False
    issuers: tuple[Issuer, ...] = ()
    city_key_version: Annotated[int, Field(ge=1, le=255)] = 1
    identifier_kinds: frozenset[IdentifierKind] = frozenset(IdentifierKind)
    request_deadline_seconds: Positive = 2.0
    node_deadline_seconds: Positive = 1.8
    locator_fresh_seconds: Positive = 300.0
    registry_fresh_seconds: Positive = 2.0
    database_deadline_seconds: Positive = 1.0
    transport: Literal["pyreqwest", "httpx"] = "pyreqwest"
    max_response_bytes: Count = 8_388_608
    max_connections_per_node: Count = 32
    max_waiting_per_node: Annotated[int, Field(ge=0)] = 64
    retry_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    breaker_failures: Count = 5
    breaker_window: Count = 20
    breaker_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    breaker_slow_seconds: Positive = 1.5
    breaker_pause_seconds: Positive = 1.0
    breaker_pause_limit_seconds: Positive = 30.0
    live_late_seconds: Annotated[float, Field(ge=0, le=60)] = 30.0
    live_subscriptions_per_caller: Count = 8
    live_init_seconds: Positive = 3.0
    live_send_seconds: Positive = 10.0
    invitation_days: Count = 7
    sync_requests_per_minute: Count = 600
    sync_patients_per_minute: Annotated[int, Field(ge=BATCH_LIMIT)] = 120_000
    enrolments_per_minute: Count = 30

    @model_validator(mode="before")
    @classmethod
    def _default_database(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("database_url") and values.get("data_folder"):
            file = Path(values["data_folder"]).absolute() / "gateway.db"
            return {**values, "database_url": f"sqlite+aiosqlite:///{file}"}
        return values

    @model_validator(mode="after")
    def _agree(self) -> Settings:
        if self.node_deadline_seconds >= self.request_deadline_seconds:
            raise ValueError(
                "node_deadline_seconds phải nhỏ hơn request_deadline_seconds",
                "node_deadline_seconds must be less than request_deadline_seconds",
            )
        if not self.database_url.startswith(("sqlite+aiosqlite:///", "postgresql+asyncpg://")):
            raise ValueError(
                "database_url phải bắt đầu bằng sqlite+aiosqlite:/// hoặc postgresql+asyncpg://",
                "database_url must begin with sqlite+aiosqlite:/// or postgresql+asyncpg://",
            )
        try:
            make_url(self.database_url)
        except (ArgumentError, ValueError):  # its own text can quote a part of the password
            raise ValueError("database_url không phải là URL", "database_url cannot be read as a URL") from None
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Variables before the file; no .env and no secrets folder, which nobody would look for."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def city_key_file(self) -> Path:
        """32 random bytes: the key of every patient token."""
        return self.data_folder / "city.key"

    @property
    def signing_key_file(self) -> Path:
        """The private Ed25519 key that signs delegations."""
        return self.data_folder / "gateway.key"


def load_settings(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from `path`, else the file CITY_GATEWAY_CONFIG names, else variables alone. Raises SettingsInvalid."""
    variables = os.environ if environment is None else environment
    file = path or (Path(variables[CONFIG_VARIABLE]) if variables.get(CONFIG_VARIABLE) else None)
    where = str(file) if file else f"{PREFIX}* (--config, {CONFIG_VARIABLE}?)"
    if file and not file.is_file():
        raise SettingsInvalid(f"Không có tệp cấu hình {file}", f"there is no settings file {file}")
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {CONFIG_VARIABLE}
    if strangers := sorted(v for v in variables if v.upper().startswith(PREFIX) and v.upper() not in known):
        raise SettingsInvalid(
            f"Biến môi trường lạ: {', '.join(strangers)}", f"unknown variables: {', '.join(strangers)}"
        )

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=file)

    try:
        return cast(Callable[[], Settings], FromFile)()
    except ValidationError as error:
        vi, en = faults(error, {name for model in (Settings, Issuer) for name in model.model_fields})
        raise SettingsInvalid(f"Cấu hình sai trong {where}: {vi}", f"the settings in {where} are wrong: {en}") from None
    except ValueError as error:
        reason = unreadable(error)
        raise SettingsInvalid(f"Không đọc được {where}: {reason}", f"cannot read {where}: {reason}") from None
