"""One step further: what a shared number reaches, what it never reaches, and what an operator unlinked."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.identity.choice import NO_SPLITS, Apart, Choice, Splits, Withheld
from schema.identity import STRONG, IdentifierKind
from tests.gateway.linked import Written, find, token

A = Written("A", "CCCD X BHXH W")


def kept(*city: Written, by: str = "CCCD X", splits: Splits = NO_SPLITS) -> list[str]:
    return sorted({row.facility for row in find(city, *by.split(), splits=splits).kept})


def reasons(*city: Written, by: str = "CCCD X", splits: Splits = NO_SPLITS) -> dict[str, object]:
    choice = find(city, *by.split(), splits=splits)
    return {row.facility: why for row, why in (*choice.withheld, *choice.apart)}


@pytest.mark.parametrize("kind", ["BHXH", "CMND", "BIRTH_CERTIFICATE", "PASSPORT", "SSN"])
def test_a_row_without_the_number_asked_for_is_reached_over_another_it_shares(kind: str) -> None:
    assert kept(Written("A", f"CCCD X {kind} W"), Written("B", f"{kind} W")) == ["A", "B"]


@pytest.mark.parametrize("kind", sorted(k.value for k in STRONG))
def test_every_strong_number_may_be_the_one_asked_for(kind: str) -> None:
    assert kept(Written("A", f"{kind} X BHXH W"), Written("B", "BHXH W"), by=f"{kind} X") == ["A", "B"]


def test_a_local_number_neither_links_nor_is_followed() -> None:
    assert kept(Written("A", "CCCD X MRN m"), Written("B", "MRN m")) == ["A"]
    assert kept(Written("A", "CCCD X MRN m BHXH W"), Written("B", "BHXH W"), by="MRN m") == ["A"]


def test_there_is_no_second_step() -> None:
    city = A, Written("B", "BHXH W CMND C"), Written("D", "CMND C")
    assert kept(*city) == ["A", "B"]
    assert "D" not in reasons(*city)


def test_who_was_found_by_a_weak_number_has_used_the_step() -> None:
    assert kept(A, Written("B", "CCCD X"), Written("C", "BHXH W"), by="BHXH W") == ["A", "C"]


def test_no_step_is_made_from_a_doubtful_row() -> None:
    child = Written("A", "CCCD X BHXH W", birth="2023-05-01", doubtful=True, fits=True)
    assert kept(child, Written("B", "BHXH W", birth="2023-05-01")) == ["A"]


@pytest.mark.parametrize(("birth", "sex"), [("1980-03-06", "FEMALE"), ("1980-03-05", "MALE"), ("1979", "FEMALE")])
def test_another_birth_date_or_sex_is_another_person_and_is_not_named(birth: str, sex: str) -> None:
    city = A, Written("B", "BHXH W", birth=birth, sex=sex)
    assert kept(*city) == ["A"]
    assert reasons(*city) == {"B": Apart.OTHER_PERSON}


@pytest.mark.parametrize(("birth", "sex"), [("1980", "FEMALE"), (None, "FEMALE"), ("1980-03-05", None)])
def test_where_birth_date_or_sex_is_not_whole_the_row_is_withheld_and_told(birth: str | None, sex: str | None) -> None:
    assert reasons(A, Written("B", "BHXH W", birth=birth, sex=sex)) == {"B": Withheld.IDENTITY_DOUBTFUL}
    assert reasons(Written("A", "CCCD X BHXH W", birth, sex), Written("B", "BHXH W")) == {
        "B": Withheld.IDENTITY_DOUBTFUL
    }


def test_a_doubtful_row_is_not_linked_but_told() -> None:
    assert reasons(A, Written("B", "BHXH W", doubtful=True)) == {"B": Withheld.IDENTITY_DOUBTFUL}


def test_another_cccd_on_the_row_met_is_a_conflict_unless_one_row_has_both() -> None:
    other = Written("B", "CCCD Y BHXH W")
    assert reasons(A, other) == {"B": Withheld.IDENTITY_CONFLICT}
    assert kept(A, other, Written("C", "CCCD X CCCD Y")) == ["A", "B", "C"]


def test_a_number_that_two_holders_of_different_cards_share_links_nobody() -> None:
    twins = A, Written("B", "CCCD Y BHXH W"), Written("C", "BHXH W")
    for by in ("CCCD X", "CCCD Y"):
        assert reasons(*twins, by=by)["C"] is Withheld.IDENTITY_CONFLICT
    assert kept(*twins, by="BHXH W") == []


def test_a_siblings_card_shown_once_does_not_lead_to_the_sibling() -> None:
    mixed_up = Written("B", "CCCD X BHXH V")
    assert reasons(A, mixed_up, Written("C", "BHXH V"))["C"] is Withheld.IDENTITY_CONFLICT
    again = A, Written("D", "CCCD X BHXH W"), mixed_up, Written("C", "BHXH V"), Written("E", "BHXH W")
    assert kept(*again) == ["A", "B", "D", "E"]


def test_two_rows_met_whose_cards_contradict_are_both_withheld() -> None:
    city = A, Written("B", "PASSPORT P BHXH W"), Written("C", "PASSPORT Q BHXH W")
    assert reasons(*city) == {"B": Withheld.IDENTITY_CONFLICT, "C": Withheld.IDENTITY_CONFLICT}


def test_a_number_on_more_than_two_persons_links_nobody_and_two_may_share_one() -> None:
    husband, sister = Written("B", "BHXH W", sex="MALE"), Written("C", "BHXH W", birth="1991-01-01")
    mine = Written("D", "BHXH W")
    assert kept(A, husband, mine) == ["A", "D"]
    assert reasons(A, husband, sister, mine)["D"] is Withheld.IDENTITY_QUARANTINED


def test_a_newborn_under_the_mothers_card_is_not_the_mother_by_either_number() -> None:
    child = Written("B", "CCCD X BHXH W", birth="2026-01-02", sex="MALE", doubtful=True, fits=False)
    mother = Written("A", "CCCD X BHXH W", fits=True)
    assert kept(mother, child) == ["A"]
    assert kept(mother, Written("B", "BHXH W", birth="2026-01-02", sex="MALE", doubtful=True)) == ["A"]


def test_what_no_rule_can_tell_and_unlinking_mends() -> None:
    """Known limits, in docs/IDENTITY.md: the same birth date and sex, and nothing of one's own on the row."""
    twin = Written("B", "BHXH W", truth=1)
    assert kept(A, twin) == ["A", "B"]
    assert kept(A, twin, splits=Splits(tokens=frozenset({(twin.key, token("CCCD", "X"))}))) == ["A"]
    borrower = Written("C", "CCCD Y BHXH V", birth="1991-01-01", truth=2)
    assert kept(borrower, by="BHXH V") == ["C"]
    assert kept(borrower, by="BHXH V", splits=Splits(tokens=frozenset({(borrower.key, token("BHXH", "V"))}))) == []


def test_two_unlinked_rows_of_one_number_are_both_withheld_and_a_linked_one_is_left_out() -> None:
    both = Written("B", "CCCD X")
    pair = Splits(frozenset({frozenset({A.key, both.key})}))
    assert reasons(A, both, Written("C", "CCCD X"), splits=pair) == {
        "A": Withheld.IDENTITY_CONFLICT,
        "B": Withheld.IDENTITY_CONFLICT,
    }
    met = Written("D", "BHXH W")
    assert reasons(A, met, splits=Splits(frozenset({frozenset({A.key, met.key})}))) == {"D": Apart.UNLINKED}
    other = Written("E", "BHXH W")
    between = Splits(frozenset({frozenset({met.key, other.key})}))
    assert kept(A, met, other, splits=between) == ["A"]


def test_a_doubtful_row_beside_the_same_birth_date_gives_way_to_another_card_and_to_an_unlinking() -> None:
    guest = Written("B", "CCCD X", doubtful=True)
    assert kept(A, guest) == ["A", "B"]
    pair = Splits(frozenset({frozenset({A.key, guest.key})}))
    assert reasons(A, guest, splits=pair) == {"B": Withheld.IDENTITY_DOUBTFUL}
    assert kept(A, guest, splits=pair) == ["A"]
    passports = Written("A", "CCCD X PASSPORT P"), Written("B", "CCCD X PASSPORT Q", doubtful=True)
    assert reasons(*passports) == {"B": Withheld.IDENTITY_DOUBTFUL}


def test_a_row_unlinked_from_a_number_leaves_the_others_in_peace() -> None:
    alone = Splits(tokens=frozenset({(("B", "ref-B"), token("CCCD", "X"))}))
    assert kept(A, Written("B", "CCCD X", birth="1991-01-01"), Written("C", "BHXH W"), splits=alone) == ["A", "C"]


# People as they could be: twins of one birth date, relatives, everybody with numbers of their own; and rows of them as
# hospitals write them. A row may bear somebody else's card, but then it bears an own CCCD too, or another birth date tells.
PERSONS = [("X", "W", "1980-03-05", "FEMALE"), ("Y", "V", "1980-03-05", "FEMALE"), ("Z", "U", "1955-01-01", "MALE"),
           ("Q", "S", "1980-03-05", "MALE")]  # fmt: skip


@st.composite
def cities(draw: st.DrawFn) -> list[Written]:
    city = []
    for n in range(draw(st.integers(1, 9))):
        who = draw(st.integers(0, len(PERSONS) - 1))
        cccd, bhxh, birth, sex = PERSONS[who]
        other = draw(st.sampled_from([i for i in range(len(PERSONS)) if i != who]))
        card = PERSONS[other][1] if draw(st.integers(0, 4)) == 0 else bhxh
        alike = PERSONS[other][2:] == (birth, sex)
        own_card = card == bhxh
        with_cccd = draw(st.booleans()) or (not own_card and alike)
        whole = draw(st.integers(0, 3)) > 0 or (not own_card)
        words = [f"CCCD {cccd}"] * with_cccd + [f"BHXH {card}"] * (draw(st.booleans()) or not with_cccd)
        born = birth if whole else draw(st.sampled_from([birth[:4], None]))
        seen = sex if whole else draw(st.sampled_from([sex, None]))
        doubtful = draw(st.integers(0, 5)) == 0
        facility = draw(st.sampled_from("ABCDEF"))
        city.append(Written(facility, " ".join(words), born, seen, doubtful, ref=f"r{n}", truth=who))
    return city


def truths(choice: Choice, city: list[Written]) -> set[int]:
    by_key = {written.key: written.truth for written in city}
    return {by_key[row.key] for row in choice.kept}


ASKED = st.sampled_from([("CCCD", p[0]) for p in PERSONS])


@settings(max_examples=600)
@given(cities(), ASKED)
def test_two_people_are_never_merged_and_the_one_asked_for_is_shown(
    city: list[Written], asked: tuple[str, str]
) -> None:
    owner = next(i for i, p in enumerate(PERSONS) if p[0] == asked[1])
    found = truths(find(city, *asked), city)
    # A twin's card on a row with the own CCCD may be all that was ever seen of that card: then nothing tells.
    mistaken = {w.numbers.split()[-1] for w in city if w.truth == owner and PERSONS[owner][1] not in w.numbers.split()}
    if not mistaken - {asked[1]}:
        assert found <= {owner}
    assert len(found) < 2 or mistaken


@settings(max_examples=300)
@given(cities(), ASKED, st.randoms())
def test_the_order_of_rows_changes_nothing(city: list[Written], asked: tuple[str, str], chance: object) -> None:
    shuffled = list(city)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    one, two = find(city, *asked), find(shuffled, *asked)
    assert (one.kept, set(one.withheld), set(one.apart)) == (two.kept, set(two.withheld), set(two.apart))


@settings(max_examples=300)
@given(cities(), ASKED)
def test_every_row_met_is_told_once(city: list[Written], asked: tuple[str, str]) -> None:
    choice = find(city, *asked)
    told = [row.key for row in (*choice.kept, *(r for r, _ in choice.withheld), *(r for r, _ in choice.apart))]
    assert len(told) == len(set(told))
    bearing = {w.key for w in city if f"{asked[0]} {asked[1]}" in w.numbers}
    assert bearing <= set(told)


@settings(max_examples=400)
@given(cities(), ASKED, st.data())
def test_what_was_unlinked_is_never_shown_together(
    city: list[Written], asked: tuple[str, str], data: st.DataObject
) -> None:
    keys = [w.key for w in city]
    pair = data.draw(st.lists(st.sampled_from(keys), max_size=2, unique=True))
    apart = data.draw(st.sampled_from(keys))
    splits = Splits(
        frozenset({frozenset(pair)}) if len(pair) == 2 else frozenset(), frozenset({(apart, token(*asked))})
    )
    shown = {row.key for row in find(city, *asked, splits=splits).kept}
    assert len(pair) < 2 or not set(pair) <= shown
    assert apart not in shown


@settings(max_examples=400)
@given(cities(), ASKED, st.data())
def test_a_row_that_goes_away_makes_no_wrong_merge(
    city: list[Written], asked: tuple[str, str], data: st.DataObject
) -> None:
    without = data.draw(st.sampled_from(city))
    rest = [w for w in city if w is not without]
    owner = next(i for i, p in enumerate(PERSONS) if p[0] == asked[1])
    strange = {
        w for w in rest if w.truth == owner and PERSONS[owner][1] not in w.numbers.split() and "BHXH" in w.numbers
    }
    if not strange:
        assert truths(find(rest, *asked), rest) <= {owner}


@given(cities())
def test_rows_shown_together_agree_pair_by_pair(city: list[Written]) -> None:
    for kind, value in {pair for w in city for pair in w.pairs()}:
        for a, b in combinations(find(city, kind.value, value).kept, 2):
            days = a.person.day, b.person.day
            assert None in days or days[0] == days[1]
            assert kind is not IdentifierKind.MRN
