"""The key of a recipient says nothing without the installation's secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.consent_key import KEY_BYTES, ConsentKeys

KEYS = ConsentKeys(b"s" * 32)


@given(st.integers(1, 2**32 - 1), st.binary(min_size=1, max_size=80))
def test_a_key_has_a_fixed_size_and_is_repeatable(brand: int, address: bytes) -> None:
    """The same person of the same brand is found again."""
    key = KEYS.derive(brand, address)
    assert len(key) == KEY_BYTES
    assert key == ConsentKeys(b"s" * 32).derive(brand, address)
    assert address not in key or len(address) < 3


def test_brands_and_installations_do_not_share_keys() -> None:
    """Consent of brand A cannot answer for B (E14), nor one installation's dump for another's."""
    address = b"ayse@example.com"
    keys = {KEYS.derive(1, address), KEYS.derive(2, address), ConsentKeys(b"t" * 32).derive(1, address)}
    assert len(keys) == 3
    assert KEYS.fingerprint != ConsentKeys(b"t" * 32).fingerprint


@given(st.integers(1, 999), st.integers(1, 999), st.text("0123456789@a", min_size=1, max_size=4))
def test_digits_cannot_slip_from_brand_to_address(first: int, second: int, address: str) -> None:
    """Brand 12 and address "3@a" are not brand 1 and address "23@a"."""
    left = KEYS.derive(first, address.encode())
    right = KEYS.derive(int(f"{first}{second}"), address.encode())
    assert left != right


def test_a_short_secret_is_refused() -> None:
    """With what was expected and found, and without the secret."""
    with pytest.raises(ValueError, match="expected at least 32 bytes, found 5") as refused:
        ConsentKeys(b"short")
    assert "short" not in str(refused.value)
