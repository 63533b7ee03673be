"""The documents keep up with the code: settings, codes, paths, commands and packages that they name, and those they must."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from typer.main import get_command

from compose.demo.question import FIRST_QUERY
from gateway import settings as gateway_settings
from gateway.cli import app as city_gateway
from node_agent import settings as node_settings
from node_agent.cli import app as node_agent
from tests.codes import CODE, ROOT, all_codes

README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
ACCESS = (ROOT / "docs" / "ACCESS.md").read_text(encoding="utf-8")
PAGES = {
    "README.md": README,
    "ARCHITECTURE.md": ARCHITECTURE,
    "CONTRIBUTING.md": CONTRIBUTING,
    "CHANGELOG.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
    "docs/OPERATIONS.md": OPERATIONS,
    "docs/ACCESS.md": ACCESS,
    "docs/IDENTITY.md": (ROOT / "docs" / "IDENTITY.md").read_text(encoding="utf-8"),
    "docs/CLIENTS.md": (ROOT / "docs" / "CLIENTS.md").read_text(encoding="utf-8"),
}
# Roots of the two error trees; nothing raises them.
ABSTRACT = {"GATEWAY_ERROR", "CLIENT_ERROR", "NODE_ERROR"}
# Put together at run time: the prefix is in the code, the rest comes from another list of codes.
COMPOSED = {"DELEGATION_SIGNATURE", "IDENTIFIER_PLACEHOLDER", "IDENTIFIER_SHAPE"}
TICKED = re.compile(r"`([^`\n]+)`")
MODULE = re.compile(r"`((?:schema|gateway|node_agent)(?:\.[a-z_0-9]+)+)`")
PATH = re.compile(r"[\w@.-]+(?:/[\w.-]+)*/?")
TOP = ("schema", "gateway", "node_agent", "tests", "compose", "benchmarks", "docs")


def rows(page: str) -> Iterator[list[str]]:
    """The cells of every table row of a page."""
    for line in page.splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def explained(page: str) -> set[str]:
    """The codes that have a row: those in ticks, or alone, in its first cell."""
    first = [row[0] for row in rows(page)]
    return {part.strip(" `") for cell in first for part in cell.split(",") if CODE.fullmatch(part.strip(" `"))}


def section(page: str, heading: str) -> str:
    """A section of a page up to the next heading of its own level or above."""
    level = heading.partition(" ")[0]
    found = re.search(rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{len(level)}}} |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"no section {heading}"
    return found[1]


def fields(settings: type[BaseModel], **tables: type[BaseModel]) -> set[str]:
    """Setting names; those of a list of tables as 'feeds.folder'."""
    return set(settings.model_fields) | {f"{name}.{x}" for name, model in tables.items() for x in model.model_fields}


@pytest.mark.parametrize(
    ("heading", "known"),
    [
        ("### city-gateway", fields(gateway_settings.Settings, issuers=gateway_settings.Issuer)),
        (
            "### node-agent",
            fields(
                node_settings.Settings,
                facilities=node_settings.FacilitySetting,
                feeds=node_settings.FeedSetting,
            ),
        ),
    ],
)
def test_the_readme_has_a_row_for_exactly_every_setting(heading: str, known: set[str]) -> None:
    listed = [row[0].strip("`") for row in rows(section(README, heading)) if row[0].startswith("`")]
    assert sorted(listed) == sorted(known)


@pytest.mark.parametrize(
    ("heading", "settings"),
    [("### city-gateway", gateway_settings.Settings), ("### node-agent", node_settings.Settings)],
)
def test_the_defaults_in_the_readme_are_the_code_s(heading: str, settings: type[BaseModel]) -> None:
    for name, default, *_ in (row for row in rows(section(README, heading)) if row[0].startswith("`")):
        field = settings.model_fields.get(name.strip("`"))
        value: Any = None if field is None or field.is_required() else field.default
        if isinstance(value, str | bool | int | float) and value != "":
            assert default.strip("`") in spellings(value), f"{name}: the README says {default}, the code {value!r}"


def spellings(value: str | bool | int | float) -> set[str]:
    """How a default may be written in a table."""
    if isinstance(value, bool):
        return {str(value).lower()}
    return {str(value), f"{value:g}"} if isinstance(value, float) else {str(value)}


def test_every_code_that_the_source_makes_has_a_row() -> None:
    found = {code: file for code, file in all_codes().items() if code not in ABSTRACT}
    assert len(found) > 150, "the search for codes no longer finds them"
    missing = found.keys() - explained(README) - explained(OPERATIONS) - explained(ACCESS)
    assert not missing, {code: found[code] for code in sorted(missing)}


def test_no_row_explains_a_code_that_the_source_does_not_know() -> None:
    source = "\n".join(p.read_text(encoding="utf-8") for top in TOP[:3] for p in sorted((ROOT / top).rglob("*.py")))
    words = set(re.findall(r"[A-Z][A-Z0-9_]+", source)) | COMPOSED
    strange = {c for page in (README, OPERATIONS) for c in explained(page) if len(c) > 3} - words
    assert not strange, sorted(strange)


@pytest.mark.parametrize(
    "name",
    [
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/OPERATIONS.md",
        "docs/ACCESS.md",
        "docs/IDENTITY.md",
        "docs/CLIENTS.md",
    ],
)
def test_every_path_named_exists(name: str) -> None:
    named = {
        t for t in TICKED.findall(PAGES[name]) if PATH.fullmatch(t) and t.startswith(tuple(f"{top}/" for top in TOP))
    }
    assert named or name == "docs/OPERATIONS.md"
    missing = sorted(p for p in named if not (ROOT / p).exists())
    assert not missing, missing
    modules = {m.replace(".", "/") for m in MODULE.findall(PAGES[name]) if not m.endswith(".key")}  # a key file is none
    lost = sorted(m for m in modules if not ((ROOT / m).is_dir() or (ROOT / f"{m}.py").is_file()))
    assert not lost, lost


def test_the_architecture_s_map_names_every_module_of_both_sides_pipelines() -> None:
    for package in ("schema", "gateway", "node_agent"):
        files = [
            p
            for room in ("", "identity", "city", "contracts", "live", "door")
            for p in (ROOT / package / room).glob("*.py")
        ]
        modules = {p.relative_to(ROOT).as_posix() for p in files}
        told = {t for t in TICKED.findall(ARCHITECTURE) if t.startswith(f"{package}/")}
        assert len(told & modules) >= len(modules) * 2 // 3, f"most of {package} is not on the map"


@pytest.mark.parametrize("name", sorted(PAGES))
def test_links_lead_somewhere(name: str) -> None:
    here = (ROOT / name).parent
    for target in re.findall(r"\]\(([^)#]+)", PAGES[name]):
        if not target.startswith("http"):
            assert (here / target).exists(), target


@pytest.mark.parametrize("name", sorted(PAGES))
def test_make_commands_are_targets(name: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    code = re.findall(r"^\s*(?:\$ )?make ([a-z]+)", PAGES[name], re.MULTILINE) + re.findall(
        r"`make ([a-z]+)", PAGES[name]
    )
    assert set(code) <= targets
    if name == "README.md":
        assert {"demo", "test"} <= set(code)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_commands_of_the_two_programs_exist(name: str) -> None:
    for program, line in re.findall(r"^\s*(city-gateway|node-agent) ([^#\n]+)", shell(PAGES[name]), re.MULTILINE):
        assert known_command(program, line.split()), f"{program} {line}"


def shell(page: str) -> str:
    """Shell blocks and ticked commands of a page."""
    blocks = re.findall(r"^\s*```sh\n(.*?)^\s*```", page, re.MULTILINE | re.DOTALL)
    return "\n".join([*blocks, *(t for t in TICKED.findall(page) if t.startswith(("city-gateway ", "node-agent ")))])


def known_command(program: str, words: list[str]) -> bool:
    """Whether the program has this command with these options."""
    command: Any = get_command({"city-gateway": city_gateway, "node-agent": node_agent}[program])
    for word in words:
        inner = getattr(command, "commands", {})
        if inner:
            if word not in inner:
                return False
            command = inner[word]
        elif word.startswith("--") and word not in {o for p in command.params for o in p.opts}:
            return False
    return True


def test_every_dependency_has_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    names = {re.split(r"[\[<>=; ]", line)[0] for line in wanted}
    reasons = {row[0]: row[1] for row in rows(section(ARCHITECTURE, "## Dependencies"))}
    assert names <= reasons.keys()
    assert all(reasons[name] for name in names)


def test_the_first_query_of_the_readme_is_the_one_the_demo_lays_ready() -> None:
    assert f"```graphql\n{FIRST_QUERY}```" in section(README, "## A first query")


def test_the_licence_is_the_whole_apache_licence() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
