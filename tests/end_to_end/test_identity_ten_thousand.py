"""10,000 people with labelled truth, told by nodes to a gateway's store: no false merge, and how much is found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.identity.inspection import quarantined
from gateway.identity.locator import ROWS_LIMIT
from schema.identity import IdentifierKind
from tests.codes import ROOT
from tests.corpus import FACILITIES, Corpus, Measured, measure
from tests.corpus_people import HOUSE_DUMMIES, City
from tests.running import outside

PEOPLE = 10_000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    yield Corpus(tmp_path_factory.mktemp("corpus"), PEOPLE)


@pytest.fixture(scope="module")
def measured(corpus: Corpus) -> Measured:
    return outside(measure(corpus))


def test_the_corpus_holds_every_story_in_numbers(corpus: Corpus) -> None:
    stories = [p.story for p in corpus.city.people]
    wanted = {"adult", "old card", "re-issued CCCD", "mother", "newborn", "parent", "toddler", "twin", "foreigner"}
    for story in wanted | {"card owner", "borrower", "no number"}:
        assert stories.count(story) >= 100, story
    assert len(stories) >= PEOPLE
    assert len(corpus.truth) == len(corpus.city.sightings) > 2 * PEOPLE
    (rows,) = corpus.gateway.rows("SELECT count(DISTINCT ref) FROM locator")
    assert rows[0] > 0.9 * len(corpus.truth)  # the others were written without any usable number


def test_nobody_is_shown_a_row_of_somebody_else(measured: Measured) -> None:
    assert measured.false == []
    assert measured.strangers > 500  # there was something to withhold


def test_no_number_that_anybody_wrote_down_joins_two_people(corpus: Corpus) -> None:
    """Also the mistyped ones, which are nobody's: each is asked for by its token."""

    async def joined() -> int:
        count = 0
        for (token,) in corpus.gateway.rows("SELECT DISTINCT token FROM locator"):
            choice = await corpus.people.find((token,))
            count += len({corpus.whose(row) for row in choice.kept}) > 1
        return count

    assert outside(joined()) == 0


def test_links_are_made_and_most_of_what_is_not_shown_directly_is_told(measured: Measured) -> None:
    strong = measured.ways["CCCD"]
    assert strong.shown > strong.direct * 1.1
    assert strong.withheld > 0.04 * strong.rows


def test_the_recall_in_the_document_is_what_was_measured(measured: Measured) -> None:
    lines = [tally.line(way) for way, tally in sorted(measured.ways.items())]
    print("\n".join(lines))
    page = (ROOT / "docs" / "IDENTITY.md").read_text(encoding="utf-8")
    missing = [line for line in lines if line not in page]
    assert not missing, "\n".join(missing)


def test_a_number_that_clerks_write_for_everybody_is_quarantined_and_told_without_people(corpus: Corpus) -> None:
    async def listed(store: object) -> dict[str, tuple[IdentifierKind, int, int]]:
        return {q.digest: (q.kind, q.persons, len(q.facilities)) for q in await quarantined(store)}  # type: ignore[arg-type]

    found = corpus.gateway.with_store(listed)
    for kind, value in zip((IdentifierKind.CCCD, IdentifierKind.BHXH), HOUSE_DUMMIES, strict=True):
        (token,) = corpus.keys.tokens(kind, value)
        assert not outside(corpus.people.find((token,))).kept
        told_kind, persons, facilities = found[token[1:].hex()[:8]]
        assert told_kind is kind and 20 < persons <= ROWS_LIMIT and facilities > 5


def test_the_same_seed_gives_the_same_city() -> None:
    one, two, other = (City(seed, 60, FACILITIES) for seed in ("a", "a", "b"))
    assert one.sightings == two.sightings != other.sightings
