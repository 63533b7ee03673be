"""Who is one person where a warehouse holds copies beside the source's own node. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from gateway.identity.choice import Choice, Located, Withheld
from gateway.identity.city_key import PersonDigest, agrees


def choose_beside(
    located: Iterable[Located], warehouses: frozenset[str], choose: Callable[[Iterable[Located]], Choice]
) -> Choice:
    """choice.choose, but a copy that contradicts all of its own source's rows has no say: it is the older word, and would
    have the source's rows withheld with it."""
    rows = tuple(located)
    own: dict[str, list[PersonDigest]] = {}
    for row in rows:
        if row.node_id not in warehouses:
            own.setdefault(row.facility, []).append(row.person)
    odd = {
        row
        for row in rows
        if row.node_id in warehouses
        and row.facility in own
        and all(agrees(row.person, person) is False for person in own[row.facility])
    }
    choice = choose(row for row in rows if row not in odd)
    withheld = [*choice.withheld, *((row, Withheld.IDENTITY_CONFLICT) for row in odd)]
    return replace(choice, withheld=tuple(sorted(withheld, key=_place)))


def _place(withheld: tuple[Located, Withheld]) -> tuple[str, str, str]:
    return withheld[0].facility, withheld[0].node_id, withheld[0].ref
