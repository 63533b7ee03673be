"""SQL expressions that write JSON as text: members, objects, and || chains that both databases accept. Pure."""

from __future__ import annotations

GROUP = 40  # SQLite's expression depth is 1,000: long || chains are put in parentheses, 40 parts each


def member(number: int, key: str) -> str:
    """What stands before the value of an object's member."""
    return f"'{',' if number else '{'}\"{key}\":'"


def braced(parts: list[str]) -> str:
    """The object of these members; {} where directives or type conditions left none."""
    return chain([*parts, "'}'"]) if parts else "'{}'"


def chain(parts: list[str]) -> str:
    """A || chain with neighbouring literals joined, in groups that keep the expression tree shallow."""
    merged: list[str] = []
    for part in parts:
        if merged and _literal(part) and _literal(merged[-1]):
            merged[-1] = merged[-1][:-1] + part[1:]
        else:
            merged.append(part)
    merged = [m if _literal(m) or not m.startswith("CASE") else f"({m})" for m in merged]
    while len(merged) > GROUP:
        merged = ["(" + "||".join(merged[i : i + GROUP]) + ")" for i in range(0, len(merged), GROUP)]
    return "||".join(merged)


def _literal(part: str) -> bool:
    return len(part) > 1 and part[0] == "'" and part.find("'", 1) == len(part) - 1
