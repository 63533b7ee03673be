"""One city of real processes for the whole folder: five hospitals behind fault proxies, the generator's own people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from compose.demo.data import build_city
from compose.demo.launch import NodeSpec, RunningCity
from gateway.access.callers import Role
from schema.identity import Identifier, IdentifierKind, canonical
from tests.end_to_end.databases import SQLITE, launched
from tests.fault_proxy import Fault, FaultProxy

SYSTEMS = {
    "http://fhir.vn/sid/cccd": "CCCD",
    "http://fhir.vn/sid/cmnd": "CMND",
    "http://fhir.vn/sid/bhyt": "BHXH",
    "http://fhir.vn/sid/passport/KOR": "PASSPORT",
    "http://fhir.vn/sid/passport/JPN": "PASSPORT",
}
HISTORY = """query History($by: PatientBy!, $access: AccessInput!, $first: Int = 100) {
  patient(by: $by, access: $access) {
    coverage { completeness registered connected current located
      facilities { facility { code } outcome reason records failedItems kinds { kind outcome reason records } } }
    patient { id name birthDate allergyStatus medicationStatus
      encounters(first: $first) { edges { sortKey facility { code } node { id class diagnoses { code } } } } } } }"""


class TestCity:
    """A running city with what tests ask of it again and again."""

    __test__ = False

    def __init__(self, running: RunningCity, truth: dict[str, Any], proxies: dict[str, FaultProxy]) -> None:
        self.running, self.truth, self.proxies = running, truth, proxies
        self.people = {p["person"]: p for p in truth["people"]}
        self._grants: dict[str, str] = {}

    @property
    def showcase(self) -> str:
        """The CCCD of the person seen at all five hospitals."""
        return str(self.people[self.truth["showcase"]]["identifiers"]["cccd"])

    def story(self, name: str) -> list[dict[str, Any]]:
        """The people of one story."""
        return [p for p in self.truth["people"] if p["story"] == name]

    def practitioner(self) -> str:
        """A doctor's token at 01006."""
        return self.running.token(Role.PRACTITIONER, "doctor", facility="01006", licence="001234/HNO-CCHN")

    def access(self, value: str, kind: IdentifierKind = IdentifierKind.CCCD) -> dict[str, Any]:
        """TREAT on a grant that this patient gave to 01006."""
        if value not in self._grants:
            self._grants[value] = self.running.give_grant(canonical(kind, value), granteeFacility="01006")
        return {"purpose": "TREAT", "basis": "GRANT", "evidence": self._grants[value]}

    def ask(self, value: str, query: str = HISTORY, kind: str = "CCCD", **variables: Any) -> dict[str, Any]:
        """The decoded answer about one patient, as the doctor sees it."""
        access = self.access(value, IdentifierKind(kind))
        return self.running.ask(
            self.practitioner(), query, {"by": {"kind": kind, "value": value}, "access": access, **variables}
        )

    def own(self, value: str, query: str, **variables: Any) -> dict[str, Any]:
        """The same as the patient sees it."""
        token = self.running.token(Role.CITIZEN, "citizen", identity=Identifier(IdentifierKind.CCCD, value))
        access = {"purpose": "PATRQT", "basis": "SELF"}
        return self.running.ask(token, query, {"by": {"kind": "CCCD", "value": value}, "access": access, **variables})


def ledger(answer: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    """facility -> (outcome, reason)."""
    lines = answer["data"]["patient"]["coverage"]["facilities"]
    return {line["facility"]["code"]: (line["outcome"], line["reason"]) for line in lines}


def rows(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """(facility, encounter id) in the answer's order."""
    edges = answer["data"]["patient"]["patient"]["encounters"]["edges"]
    return [(e["facility"]["code"], e["node"]["id"]) for e in edges]


@pytest.fixture(scope="module")
def database(request: pytest.FixtureRequest) -> str:
    """What a module's city keeps its data in; a module that runs on both says so (databases.BOTH)."""
    return str(getattr(request, "param", SQLITE))


@pytest.fixture(scope="package")
def cities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], TestCity]]:
    """The one city of each database; once somebody asked for it, it runs on while there are tests of this folder."""
    with ExitStack() as stack:
        yield cache(lambda database: stack.enter_context(five_hospitals(database, tmp_path_factory.mktemp("city"))))


@pytest.fixture(scope="module")
def city(database: str, cities: Callable[[str], TestCity]) -> TestCity:
    """Five hospitals of eighty people."""
    return cities(database)


@contextmanager
def five_hospitals(database: str, folder: Path) -> Iterator[TestCity]:
    """Each behind a fault proxy; no facility without a node is registered."""
    made = build_city(people=80)
    proxies = {f.code: FaultProxy() for f in made.facilities}
    specs = [
        NodeSpec(
            f.code,
            f.name,
            f.feed,
            {x.name: x.data for x in made.files if x.facility == f.code},
            SYSTEMS if f.feed == "fhir" else {},
            advertised=proxies[f.code].advertise,
            options={"sync_seconds": 2.0},  # changes are told at once; so many idle nodes cost the tests half a core
        )
        for f in made.facilities
    ]
    options = {
        "node_deadline_seconds": 1.0,
        "request_deadline_seconds": 1.5,
        # Tests make hospitals fail one after another; breakers have their own (test_breakers.py).
        "breaker_failures": 10_000,
        "breaker_window": 10_000,
    }
    with launched(database, folder, specs, gateway_options=options) as running:
        running.settle()
        yield TestCity(running, made.truth, proxies)  # type: ignore[arg-type]
    for proxy in proxies.values():
        proxy.close()


@pytest.fixture(autouse=True)
def _honest_nodes(request: pytest.FixtureRequest) -> Iterator[None]:
    """No fault outlives its test."""
    yield
    if "city" in request.fixturenames:
        for proxy in request.getfixturevalue("city").proxies.values():
            proxy.fault, proxy.delay = Fault.NONE, 0.0
