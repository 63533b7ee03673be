"""The node's settings: what is read, and that nothing unknown or contradictory gets past the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from node_agent.errors import SettingsInvalid
from node_agent.settings import load_settings
from schema.elements import Feed
from schema.identity import IdentifierKind

GOOD = """
data_folder = "data"
host = "127.0.0.2"

[[facilities]]
code = "01001"
name = "Bệnh viện A"

[[facilities]]
code = "01002"
name = "Bệnh viện B"

[[feeds]]
feed = "bhyt_xml"
folder = "in/xml"

[[feeds]]
feed = "fhir"
facility = "01002"
rhythm_seconds = 3600

[organizations]
"org-1" = "01002"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("NODE_AGENT_CONFIG", "NODE_AGENT_PORT"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "node.toml"
    path.write_text(GOOD, "utf-8")
    return path


def test_a_file_gives_the_settings(file: Path) -> None:
    settings = load_settings(file)
    assert settings.facility_codes == ("01001", "01002")
    assert [f.kind for f in settings.feeds] == [Feed.BHYT_XML, Feed.FHIR]
    assert settings.feed_default(Feed.BHYT_XML) == "01001"
    assert settings.feed_default(Feed.FHIR) == "01002"
    assert settings.rhythm(Feed.FHIR, "01002") == 3600
    assert settings.rhythm(Feed.BHYT_XML, "01002") == 86_400
    assert settings.identifier_systems["http://fhir.vn/sid/cccd"] is IdentifierKind.CCCD
    assert "http://hl7.org/fhir/sid/us-ssn" not in settings.identifier_systems
    assert (settings.host, settings.port) == ("127.0.0.2", 8101)
    assert settings.store_url.startswith("sqlite+aiosqlite:///")


def test_a_variable_wins_over_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_AGENT_PORT", "9999")
    assert load_settings(file).port == 9999


def test_the_variable_config_names_the_file(file: Path) -> None:
    assert load_settings(environment={"NODE_AGENT_CONFIG": str(file)}).host == "127.0.0.2"


def test_settings_cannot_be_changed_after_the_start(file: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings(file).port = 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ('data_folder = "data"\ncolour = "red"', "colour"),
        ('data_folder = "data"\npoll_seconds = 0', "poll_seconds"),
        ('data_folder = "data"\nport = 70000', "port"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(file: Path, change: str, named: str) -> None:
    file.write_text(GOOD.replace('data_folder = "data"', change), "utf-8")
    with pytest.raises(SettingsInvalid) as error:
        load_settings(file)
    assert named in error.value.en
    assert named in error.value.vi
    assert str(file) in error.value.en


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ('facility = "01002"', 'facility = "01003"', "01003"),
        ('"org-1" = "01002"', '"org-1" = "01009"', "01009"),
        ('code = "01002"', 'code = "01001"', "twice"),
        ('code = "01001"', 'code = "1001"', "facilities.0.code"),
        ('feed = "fhir"', 'feed = "telex"', "feeds.1.feed"),
        ('feed = "fhir"', 'feed = "fhir"\nrhythm = 3', "feeds.1.rhythm"),
        ('feed = "fhir"', 'feed = "fhir"\nfolder = "in/xml"', "folder"),
        ("[[facilities]]", "[[facilities", "cannot read"),
    ],
)
def test_what_does_not_fit_together_is_refused(file: Path, before: str, after: str, named: str) -> None:
    assert before in GOOD
    file.write_text(GOOD.replace(before, after, 1), "utf-8")
    with pytest.raises(SettingsInvalid) as error:
        load_settings(file)
    assert named in error.value.en


def test_an_unknown_variable_is_refused(file: Path) -> None:
    with pytest.raises(SettingsInvalid, match="NODE_AGENT_POLL_SECOND"):
        load_settings(file, {"NODE_AGENT_POLL_SECOND": "3"})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"nothing\.toml"):
        load_settings(tmp_path / "nothing.toml")
