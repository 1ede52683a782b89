"""E-mail addresses: what is accepted, what is refused, and what shares a key."""

from __future__ import annotations

import re
import time
import unicodedata
from pathlib import Path
from typing import NamedTuple

import idna
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from filters.address import AddressError, AddressProblem, EmailAddress, canonical_domain, parse_email

TABLE = Path(__file__).with_name("addresses.txt")


class Case(NamedTuple):
    line: int
    allow_utf8: bool
    wire: bytes
    key: bytes | None
    problem: str | None


def unescape(cell: str) -> bytes:
    """``\\xNN`` is one byte, everything else stands for itself in UTF-8."""
    parts = re.split(r"\\(x[0-9a-f]{2}|\\)", cell)
    return b"".join(
        part.encode() if number % 2 == 0 else b"\\" if part == "\\" else bytes([int(part[1:], 16)])
        for number, part in enumerate(parts)
    )


def load_cases() -> list[Case]:
    cases = []
    for number, line in enumerate(TABLE.read_text(encoding="utf-8").split("\n"), 1):
        if not line or line.startswith("# "):
            continue
        mode, wire, outcome, expected = line.split("\t")
        is_key = {"key": True, "refused": False}[outcome]
        cases.append(
            Case(
                number,
                {"utf8": True, "ascii": False}[mode],
                unescape(wire),
                unescape(expected) if is_key else None,
                None if is_key else AddressProblem(expected).value,
            )
        )
    return cases


CASES = load_cases()


def outcome_of(wire: bytes, *, allow_utf8: bool) -> bytes | str:
    try:
        return parse_email(wire, allow_utf8=allow_utf8).key
    except AddressError as error:
        return error.problem.value


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"line {case.line}")
def test_every_address_of_the_table_is_accepted_or_refused_as_stated(case: Case) -> None:
    """Each line of addresses.txt holds."""
    assert outcome_of(case.wire, allow_utf8=case.allow_utf8) == (case.key if case.key is not None else case.problem)


def test_the_table_is_not_empty_and_shows_every_problem() -> None:
    """Every way of refusing an address has at least one line in the table, save those that cannot come alone."""
    assert len(CASES) > 400
    shown = {case.problem for case in CASES}
    # A domain over 253 octets within an address of 254 would need an empty local part.
    assert {problem.value for problem in AddressProblem} - shown == {AddressProblem.DOMAIN_TOO_LONG.value}


def test_a_domain_alone_may_have_253_octets() -> None:
    """The limit of RFC 1035 holds for the domain by itself, counted as A-labels."""
    longest = "b." * 125 + "com"
    assert len(canonical_domain(longest)) == 253
    with pytest.raises(AddressError) as refused:
        canonical_domain("b" + longest)
    assert refused.value.problem is AddressProblem.DOMAIN_TOO_LONG
    with pytest.raises(AddressError) as refused:
        canonical_domain(".".join(["ü" * 40] * 6))
    assert refused.value.problem in (AddressProblem.DOMAIN_TOO_LONG, AddressProblem.TOP_LEVEL)


def test_an_error_tells_why_and_never_whom() -> None:
    """The text of a refusal is its sentence; no part of the address is in it."""
    for case in CASES:
        if case.problem is None:
            continue
        with pytest.raises(AddressError) as refused:
            parse_email(case.wire, allow_utf8=case.allow_utf8)
        assert str(refused.value) == refused.value.problem.sentence
        assert refused.value.__cause__ is None
    assert len({problem.sentence for problem in AddressProblem}) == len(AddressProblem)


def test_the_turkish_letters_are_four_letters() -> None:
    """I and i are one letter, İ and ı two more: folding by Turkish rules would make other people of them."""
    keys = {outcome_of(f"{letter}@example.com".encode(), allow_utf8=True) for letter in "Iiİı"}
    assert keys == {b"i@example.com", "İ@example.com".encode(), "ı@example.com".encode()}


# -- properties --------------------------------------------------------------------------------------------------------

atoms = st.text("abcXYZ019#$&'*+/=^_`{|}~-", min_size=1, max_size=12)
ascii_locals = st.lists(atoms, min_size=1, max_size=4).map(".".join)
ascii_labels = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,20}[A-Za-z0-9])?", fullmatch=True)
top_levels = st.sampled_from(["com", "COM", "tr", "example", "xn--p1ai", "рф"])
u_labels = st.text("abcöçşğüıñéжпя用户अक", min_size=1, max_size=15)
domains = st.builds(
    lambda labels, top: ".".join([*labels, top]),
    st.lists(st.one_of(ascii_labels, u_labels), min_size=1, max_size=4),
    top_levels,
)
locals_ = st.one_of(
    ascii_locals,
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=10).map(lambda text: unicodedata.normalize("NFC", text)),
)
likely = st.builds(lambda local, domain: f"{local}@{domain}".encode(), locals_, domains)
hostile = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=80).map(str.encode),
    st.builds(
        lambda wire, at, junk: wire[:at] + junk + wire[at:],
        likely,
        st.integers(0, 40),
        st.sampled_from(
            [b"\0", b"\r\n", b" ", b"@", b".", b"%", b'"', b"(", b"=?", b"\xe2\x80\x8b", b"\xc2\xad", b"--"]
        ),
    ),
)


def accept(wire: bytes) -> EmailAddress:
    try:
        return parse_email(wire, allow_utf8=True)
    except AddressError:
        assume(False)
        raise


@given(st.one_of(likely, hostile))
def test_any_bytes_are_accepted_unchanged_or_refused(wire: bytes) -> None:
    """What is sent on is byte for byte what was parsed; nothing else than ``AddressError`` comes out."""
    try:
        address = parse_email(wire, allow_utf8=True)
    except AddressError:
        return
    assert address.wire == wire
    assert address.needs_smtputf8 is not wire.isascii()
    local, _, domain = address.key.rpartition(b"@")
    assert domain.isascii()
    assert domain == domain.lower()
    assert b"@" not in local
    assert not re.search(rb"[\x00-\x20\x7f]", wire)


@given(likely)
def test_a_key_is_the_address_of_its_own_key(wire: bytes) -> None:
    """The canonical form is itself acceptable and canonical."""
    key = accept(wire).key
    assert parse_email(key, allow_utf8=True).key == key


@given(hostile)
def test_without_smtputf8_only_ascii_is_accepted(wire: bytes) -> None:
    """An address is accepted without SMTPUTF8 just if it is ASCII and accepted with it."""
    with_utf8 = outcome_of(wire, allow_utf8=True)
    without = outcome_of(wire, allow_utf8=False)
    assert without == with_utf8 if wire.isascii() else isinstance(without, str)


def fold(local: str) -> str:
    folded = "".join(letter.lower() if letter.isascii() else letter for letter in local)
    return unicodedata.normalize("NFC", folded)


@given(likely, likely)
def test_two_addresses_share_a_key_just_if_local_parts_fold_alike_and_domains_are_one(
    first: bytes, second: bytes
) -> None:
    """Equal keys mean equal local parts after ASCII folding and IDNA-equal domains, and the other way round."""
    assert_keys_tell(accept(first), accept(second))


@given(likely)
def test_spellings_of_one_mailbox_share_a_key(wire: bytes) -> None:
    """ASCII case and the choice of A- or U-label do not make a second person."""
    address = accept(wire)
    local, _, domain = wire.decode().rpartition("@")
    for other_local in {local, fold(local)}:
        for other_domain in {
            domain,
            domain.lower(),
            idna.encode(domain, uts46=True).decode(),
            idna.decode(address.key.decode().rpartition("@")[2]),
        }:
            other = parse_email(f"{other_local}@{other_domain}".encode(), allow_utf8=True)
            assert other.key == address.key
            assert_keys_tell(address, other)


def assert_keys_tell(first: EmailAddress, second: EmailAddress) -> None:
    (local_1, _, domain_1), (local_2, _, domain_2) = (a.wire.decode().rpartition("@") for a in (first, second))
    is_one = (
        fold(local_1) == fold(local_2)
        and idna.encode(domain_1, uts46=True).lower() == idna.encode(domain_2, uts46=True).lower()
    )
    assert (first.key == second.key) is is_one


@given(
    st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("abcÖŞİıſßΣς\u212aａﬁ-")), min_size=1, max_size=6)
)
def test_no_domain_is_mapped_but_by_lower_case(label: str) -> None:
    """An accepted U-label is, but for letter case, the name that its A-label stands for."""
    try:
        address = parse_email(f"a@{label}.example".encode(), allow_utf8=True)
    except AddressError:
        return
    assert idna.decode(address.key[2:]) == f"{label}.example".lower()


@pytest.mark.parametrize(
    "wire",
    [
        b"a." * 120 + b"@example.com",
        b"a" * 250,
        b"a@" + b"a-" * 120 + b"a.com",
        b"a@" + b"b." * 120 + b"1",
        b"a@" + b"xn--" * 60 + b".com",
        b"a@xn--" + b"9" * 59 + b".com",
        b"a" * 100_000,
        b"." * 100_000,
        b"a@" + b"a." * 100_000,
        ("ü" * 60 + "@" + "ü" * 60 + ".com").encode(),
        ("a@" + "\u0301" * 100).encode(),
    ],
    ids=lambda wire: f"{wire[:12]!r} x{len(wire)}",
)
def test_hostile_addresses_cost_no_more_than_milliseconds(wire: bytes) -> None:
    """No backtracking and nothing quadratic: refusing is as cheap as accepting."""
    canonical_domain.cache_clear()
    best = min(_time_once(wire) for _ in range(5))
    assert best < 0.005


def _time_once(wire: bytes) -> float:
    started = time.perf_counter()
    outcome_of(wire, allow_utf8=True)
    return time.perf_counter() - started
