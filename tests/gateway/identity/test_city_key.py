"""Tokens, digests, and the files that keys live in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import KeyUnusable
from gateway.identity.city_key import CityKey, PersonDigest, agrees, create_city_key, load_city_key
from gateway.keys import create_signing_key, load_signing_key
from schema.identity import IdentifierKind

KEY = CityKey(bytes(range(32)), 1)
DATES = st.sampled_from([None, "1980", "1980-03", "1980-03-05", "1980-07-01", "1981", "1981-02-02"])
GENDERS = st.sampled_from([None, "MALE", "FEMALE", "OTHER", "UNKNOWN"])


def test_a_token_is_the_version_and_sixteen_bytes() -> None:
    token = KEY.patient_token(IdentifierKind.CCCD, "001080012345")
    assert (len(token), token[0]) == (17, 1)
    assert token == CityKey(bytes(range(32)), 1).patient_token(IdentifierKind.CCCD, "001080012345")


def test_tokens_differ_by_kind_value_key_and_version() -> None:
    tokens = {
        KEY.patient_token(IdentifierKind.CMND, "123456780"),
        KEY.patient_token(IdentifierKind.SSN, "123456780"),
        KEY.patient_token(IdentifierKind.SSN, "123456781"),
        CityKey(bytes(32), 1).patient_token(IdentifierKind.SSN, "123456780"),
        CityKey(bytes(range(32)), 2).patient_token(IdentifierKind.SSN, "123456780"),
    }
    assert len(tokens) == 5


def test_no_representation_of_a_key_shows_it() -> None:
    assert "0001020304" not in repr(KEY) + str(KEY) + KEY.fingerprint()
    assert KEY.fingerprint() != CityKey(bytes(32), 1).fingerprint()


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (("1980-03-05", "MALE"), ("1980-03-05", "MALE"), True),
        (("1980-03-05", "MALE"), ("1980-03-05", "FEMALE"), False),
        (("1980-03-05", "MALE"), ("1980-03-06", "MALE"), False),
        (("1980", "MALE"), ("1980-03-05", "MALE"), True),
        (("1980-03", "MALE"), ("1980-07-05", "MALE"), True),
        (("1981", "MALE"), ("1980-03-05", "MALE"), False),
        (("1980", "FEMALE"), ("1980-03-05", "MALE"), False),
        (("1980-03-05", None), ("1980-03-05", "MALE"), None),
        (("1980-03-05", "UNKNOWN"), ("1980-03-06", "MALE"), False),
        ((None, "MALE"), ("1980-03-05", "MALE"), None),
        ((None, "MALE"), (None, "FEMALE"), False),
        ((None, None), (None, None), None),
    ],
)
def test_birth_date_and_sex_are_compared_at_the_coarser_precision(
    a: tuple[str | None, str | None], b: tuple[str | None, str | None], expected: bool | None
) -> None:
    assert agrees(KEY.person_digest(*a), KEY.person_digest(*b)) is expected


@given(DATES, GENDERS, DATES, GENDERS)
def test_agreement_does_not_depend_on_the_side(d1: str | None, g1: str | None, d2: str | None, g2: str | None) -> None:
    a, b = KEY.person_digest(d1, g1), KEY.person_digest(d2, g2)
    assert agrees(a, b) is agrees(b, a)
    assert agrees(a, a) is not False
    assert agrees(a, PersonDigest()) is None


def test_the_sexes_of_two_years_cannot_be_sorted_by_their_digests() -> None:
    digests = {KEY.person_digest(str(year), sex).sex for year in range(1940, 2000) for sex in ("MALE", "FEMALE")}
    assert len(digests) == 120


def test_a_key_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "city.key"
    create_city_key(file)
    assert file.stat().st_mode & 0o777 == 0o600
    fingerprint = load_city_key(file).fingerprint()
    with pytest.raises(KeyUnusable):
        create_city_key(file)
    assert load_city_key(file).fingerprint() == fingerprint


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_stops_the_start(tmp_path: Path, mode: int) -> None:
    create_city_key(tmp_path / "city.key")
    create_signing_key(tmp_path / "gateway.key")
    for name in ("city.key", "gateway.key"):
        (tmp_path / name).chmod(mode)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        load_city_key(tmp_path / "city.key")
    with pytest.raises(KeyUnusable, match="chmod 600"):
        load_signing_key(tmp_path / "gateway.key")


def test_a_key_in_a_repository_stops_the_start_except_in_a_demo(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    create_city_key(tmp_path / "data" / "city.key")
    with pytest.raises(KeyUnusable, match="repository"):
        load_city_key(tmp_path / "data" / "city.key")
    load_city_key(tmp_path / "data" / "city.key", allow_repository=True)


def test_a_damaged_key_is_refused_without_showing_it(tmp_path: Path) -> None:
    create_city_key(tmp_path / "city.key")
    (tmp_path / "city.key").write_bytes(b"damaged-secret")
    with pytest.raises(KeyUnusable, match="32 bytes") as caught:
        load_city_key(tmp_path / "city.key")
    assert "damaged-secret" not in str(caught.value)
