"""How strictly a caller takes a partial answer: `onIncomplete`, `require` and `partialErrors` of `patient`. Pure.

All three are judged on the ledger, never on caught errors. The default is to go on: a doctor sees what there is, and the
ledger says what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.city.registry import City
from gateway.copy_lines import MISSING
from gateway.coverage import Assessment
from gateway.errors import ClientError
from gateway.ledger import advice_of, facility_value
from gateway.plan import ANSWERED_BEFORE, unknown_facility
from schema.coverage import Completeness, Outcome


@dataclass(frozen=True, slots=True)
class Strictness:
    """fail: onIncomplete FAIL. require: facility codes that must have answered. partial_errors: one error a failed facility."""

    fail: bool = False
    require: frozenset[str] = frozenset()
    partial_errors: bool = False

    @property
    def speaks_of_facilities(self) -> bool:
        """Whether the answer would tell of facilities outside the ledger, to which a caller may not be entitled."""
        return self.fail or bool(self.require) or self.partial_errors


LENIENT = Strictness()


class AnswerWithheld(ClientError):
    """The caller wanted no answer rather than this one; facilities: the codes that are the reason."""

    def __init__(self, vi: str, en: str, facilities: tuple[str, ...]) -> None:
        super().__init__(vi, en)
        self.facilities = facilities


class IncompleteAnswer(AnswerWithheld):
    """onIncomplete FAIL, and the answer is INCOMPLETE. UNCERTAIN passes: see failure_of."""

    code = "INCOMPLETE_ANSWER"


class RequiredFacilityMissing(AnswerWithheld):
    """A facility in `require` did not answer soundly."""

    code = "REQUIRED_FACILITY_MISSING"


def check_known(strictness: Strictness, city: City) -> None:
    """Raises PlanRefused(UNKNOWN_FACILITY) when `require` names a facility the city does not have."""
    if not city.facilities.keys() >= strictness.require:
        raise unknown_facility()


def failure_of(strictness: Strictness, ledger: Assessment, city: City) -> AnswerWithheld | None:
    """Why this answer must not be given, None when it may. `require` is looked at first: it says more.

    UNCERTAIN does not fail: something may exist that nobody located, asking again changes nothing, and until the last clinic
    of the city is connected it is what nearly every answer says. Whoever must not go on without a certain hospital requires it.
    """
    missing = tuple(sorted(code for code in strictness.require if not _vouched(code, ledger, city)))
    if missing:
        return RequiredFacilityMissing(
            "Cơ sở được yêu cầu chưa trả lời đủ, nên không trả kết quả",
            "a required facility did not answer soundly, so nothing is given",
            missing,
        )
    if strictness.fail and ledger.completeness is Completeness.INCOMPLETE:
        return IncompleteAnswer(
            "Câu trả lời thiếu, và người hỏi không muốn nhận câu trả lời thiếu",
            "the answer is incomplete, and the caller wants none that is",
            tuple(line.facility for line in ledger.located if not line.whole),
        )
    return None


def _vouched(code: str, ledger: Assessment, city: City) -> bool:
    """Whether a facility has said all it has: it answered soundly, or it is current and does not know this patient."""
    line = next((line for line in ledger.located if line.facility == code), None)
    if line is None:
        return not city.facilities[code].lagging and all(behind.facility != code for behind in ledger.behind)
    # NOT_HELD gave nothing because it cannot, NOT_ASKED because the query's own filter or the grant left it out.
    before = line.outcome is Outcome.NOT_ASKED and line.reason in (ANSWERED_BEFORE, MISSING)
    answered = line.outcome in (Outcome.ANSWERED, Outcome.EMPTY) or before
    return answered and line.whole


def facility_errors(ledger: Assessment, city: City) -> list[dict[str, Any]]:
    """One GraphQL error, still without its path, for each located facility of which something is missing. Facilities that are behind were not asked."""
    errors: list[dict[str, Any]] = []
    for line in ledger.located:
        if line.whole:
            continue
        told = advice_of(line)
        about = {"code": "FACILITY_FAILED", "facility": line.facility, "outcome": line.outcome.value}
        message = f"{facility_value(city, line.facility)['name']}: {told['VI']} {told['EN']}"
        errors.append({"message": message, "extensions": {**about, "reason": line.reason}})
    return errors
