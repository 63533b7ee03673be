"""The node's settings: one frozen value, read once at start from a TOML file and NODE_AGENT_* variables.

A variable wins over the file; lists and maps in a variable are JSON. Unknown keys are refused in both. Nothing here opens
a database or talks to anyone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from node_agent.errors import SettingsInvalid
from schema.bad_settings import faults, unreadable
from schema.elements import Feed
from schema.identity import IdentifierKind

PREFIX = "NODE_AGENT_"
CONFIG_VARIABLE = "NODE_AGENT_CONFIG"
IDENTIFIER_SYSTEMS = {
    "http://fhir.vn/sid/cccd": IdentifierKind.CCCD,
    "http://fhir.vn/sid/bhyt": IdentifierKind.BHXH,
    "http://fhir.vn/sid/passport": IdentifierKind.PASSPORT,
}
DAY_SECONDS = 86_400
DATABASES = ("sqlite+aiosqlite:///", "postgresql+asyncpg://")


class FacilitySetting(BaseModel):
    """A facility this node serves; code is its MA_CSKCB."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    code: Annotated[str, Field(pattern=r"^[0-9A-Z]{5}$")]
    name: Annotated[str, Field(min_length=1)]


class FeedSetting(BaseModel):
    """A way in. `facility` is for input that names none (the first one unless told); `folder` is watched for files."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    feed: Literal["bhyt_xml", "fhir"]
    facility: str | None = None
    folder: Path | None = None
    rhythm_seconds: Annotated[int, Field(gt=0)] = DAY_SECONDS

    @property
    def kind(self) -> Feed:
        """The contract's name of this feed."""
        return Feed(self.feed.upper())


class Settings(BaseSettings):
    """All that a node can be told. Paths are made absolute against the working directory; seconds carry their unit.

    role: a warehouse holds copies of facilities that may have their own node, to which it loses (gateway/copies.py).
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    data_folder: Path
    facilities: Annotated[tuple[FacilitySetting, ...], Field(min_length=1)]
    feeds: tuple[FeedSetting, ...] = ()
    role: Literal["source", "warehouse"] = "source"
    identifier_systems: dict[str, IdentifierKind] = Field(default_factory=lambda: dict(IDENTIFIER_SYSTEMS))
    organizations: dict[str, str] = Field(default_factory=dict)
    database_url: str | None = None
    inbox_url: str | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8101
    poll_seconds: Annotated[float, Field(gt=0)] = 5.0
    sync_seconds: Annotated[float, Field(gt=0)] = 5.0

    @model_validator(mode="after")
    def _agree(self) -> Settings:
        codes = [f.code for f in self.facilities]
        if len(set(codes)) != len(codes):
            raise ValueError("facilities: một mã lặp lại", "facilities: a code is given twice")
        for place, named in (
            ("feeds.facility", [f.facility for f in self.feeds if f.facility]),
            ("organizations", list(self.organizations.values())),
        ):
            if strangers := sorted(set(named) - set(codes)):
                listed = ", ".join(strangers)
                raise ValueError(
                    f"{place}: {listed} không có trong facilities", f"{place}: {listed} not among facilities"
                )
        for name in ("database_url", "inbox_url"):
            url = getattr(self, name)
            if url is not None and not url.startswith(DATABASES):  # its text may hold a password
                one, other = DATABASES
                raise ValueError(
                    f"{name}: phải bắt đầu bằng {one} hoặc {other}", f"{name}: must begin with {one} or {other}"
                )
        folders = [f.folder.absolute() for f in self.feeds if f.folder]
        if len(set(folders)) != len(folders):
            raise ValueError("feeds.folder: hai nguồn cùng một thư mục", "feeds.folder: two feeds watch one folder")
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
    def facility_codes(self) -> tuple[str, ...]:
        """The codes served, in the order given."""
        return tuple(f.code for f in self.facilities)

    @property
    def store_url(self) -> str:
        """Where the clinical store is."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_folder.absolute() / 'store.db'}"

    @property
    def inbox_store_url(self) -> str:
        """Where the inbox is."""
        return self.inbox_url or f"sqlite+aiosqlite:///{self.data_folder.absolute() / 'inbox.db'}"

    @property
    def record_key_file(self) -> Path:
        """32 random bytes under which record ids and refs are digests."""
        return self.data_folder / "record.key"

    @property
    def node_key_file(self) -> Path:
        """The node's private key, written by enrolment."""
        return self.data_folder / "node.key"

    def feed_default(self, feed: Feed) -> str:
        """The facility meant when the input of this feed names none."""
        named = [f.facility for f in self.feeds if f.kind is feed and f.facility]
        return named[0] if named else self.facility_codes[0]

    def rhythm(self, feed: Feed, facility: str) -> int:
        """Seconds after which this feed counts as silent for this facility; the strictest line that speaks of both."""
        lines = [f.rhythm_seconds for f in self.feeds if f.kind is feed and f.facility in (None, facility)]
        return min(lines, default=DAY_SECONDS)


def load_settings(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from `path`, else the file NODE_AGENT_CONFIG names, else variables alone. Raises SettingsInvalid."""
    file = path or (Path(environment[CONFIG_VARIABLE]) if environment.get(CONFIG_VARIABLE) else None)
    where = str(file) if file else f"{PREFIX}* (--config, {CONFIG_VARIABLE}?)"
    if file and not file.is_file():
        raise SettingsInvalid(f"Không có tệp cấu hình {file}", f"there is no settings file {file}")
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {CONFIG_VARIABLE}
    if strangers := sorted(v for v in environment if v.upper().startswith(PREFIX) and v.upper() not in known):
        raise SettingsInvalid(
            f"Biến môi trường lạ: {', '.join(strangers)}", f"unknown variables: {', '.join(strangers)}"
        )

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=file)

    try:
        return FromFile()  # type: ignore[call-arg]  # the file and the variables give them
    except ValidationError as error:
        vi, en = faults(
            error, {name for model in (Settings, FacilitySetting, FeedSetting) for name in model.model_fields}
        )
        raise SettingsInvalid(f"Cấu hình sai trong {where}: {vi}", f"the settings in {where} are wrong: {en}") from None
    except ValueError as error:
        reason = unreadable(error)
        raise SettingsInvalid(f"Không đọc được {where}: {reason}", f"cannot read {where}: {reason}") from None
