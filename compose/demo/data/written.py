"""How a hospital writes a person down: name, birth, number and card as they stand on a row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from compose.demo.data.visits import Visit

# Babies of the demo are born before the day clinic opens, so that NGAY_VAO follows NGAY_SINH.
BIRTH_MINUTE = "0530"


@dataclass(frozen=True)
class Written:
    """The patient fields of one row. `birth` is 12 digits; month, day and time may be 0000."""

    name: str
    birth: str
    sex: str
    identifier: str
    cards: tuple[str, ...]
    card_from: tuple[str, ...]
    card_to: tuple[str, ...]
    registered_at: tuple[str, ...]
    temporary_card: str = ""


def write_down(visit: Visit) -> Written:
    """The patient as the clerk of this hospital entered them; names are upper case, as in real exports."""
    plan, person = visit.plan, visit.person
    birth = birth_digits(plan.written_birth or person.birth, person.year_only)
    name, identifier, cards, temporary = (person.name, person.identifier, person.cards, "")
    if plan.written_id is not None:
        identifier = plan.written_id
    if plan.mother is not None:
        name, identifier, temporary = (plan.mother.name, plan.mother.identifier, person.cards[0])
        cards = (plan.mother.cards[0], temporary) if "two_cards" in plan.flags else plan.mother.cards[:1]
        birth = f"{person.birth:%Y%m%d}{BIRTH_MINUTE}"
    year = visit.start.year
    return Written(
        name=_tone_style(name.upper(), visit.facility.code),
        birth=birth,
        sex="1" if person.male else "2",
        identifier=identifier,
        cards=cards,
        card_from=tuple(f"{year}0101" for _ in cards),
        card_to=tuple(f"{year}1231" for _ in cards),
        registered_at=tuple("01003" if place == 0 else "01006" for place, _ in enumerate(cards)),
        temporary_card=temporary,
    )


def birth_digits(birth: date, year_only: bool) -> str:
    return f"{birth:%Y}00000000" if year_only else f"{birth:%Y%m%d}0000"


def _tone_style(name: str, facility: str) -> str:
    """Two spellings of one name: 01025 puts the tone on the second vowel of oa (HOÀ), others on the first."""
    return name.replace("HÒA", "HOÀ") if facility == "01025" else name.replace("HOÀ", "HÒA")
