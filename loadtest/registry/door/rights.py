"""Whose the codes in a path are, and whether their owner's subscription lets it call (reference 4.2)."""

from __future__ import annotations

from collections.abc import Mapping

from loadtest.registry.book.world import World
from loadtest.registry.door.tokens import Session
from loadtest.registry.rules.codes import fail

_SUBSCRIPTION_CODES = {"PAUSED": "H520", "EXPIRED": "H520", "CLOSED": "H521"}


def check_codes(
    world: World, session: Session, parts: Mapping[str, str], *, is_look_up: bool, is_any_state: bool
) -> tuple[int, int]:
    """The codes of provider and brand in a path (0 where there is none), if they are the caller's.

    ``is_look_up``: a code that nobody has is 404 rather than 403. ``is_any_state``: the provider's subscription need
    not be in order. Raises ``RegistryError``.
    """
    user = session.user
    if "integratorCode" in parts:
        code = _read_code(parts["integratorCode"], "H190", "integratorCode")
        if user.role == "partner" and user.integrator_code != code:
            is_known = any(each.integrator_code == code for each in world.users.values())
            raise fail("H353" if is_known else "H129", ["integratorCode"], code)
        return 0, 0
    if "iysCode" not in parts:
        return 0, 0
    iys_code = _read_code(parts["iysCode"], "H190", "iysCode")
    brand = _read_code(parts["brandCode"], "H191", "brandCode") if "brandCode" in parts else 0
    if is_look_up and iys_code not in world.providers:
        raise fail("H001", ["iysCode"], iys_code)
    if is_look_up and brand and brand not in world.brands and brand not in session.brands:
        raise fail("H018", ["brandCode"], brand)
    _check_rights(world, session, iys_code, brand)
    provider = world.providers[iys_code]
    subscription = provider.subscription
    if not is_any_state:
        if subscription is None:
            raise fail("H524", ["iysCode"], iys_code)
        if subscription.status in _SUBSCRIPTION_CODES:
            raise fail(_SUBSCRIPTION_CODES[subscription.status])
        if not subscription.has_api:
            raise fail("H586")
    return iys_code, brand


def _check_rights(world: World, session: Session, iys_code: int, brand: int) -> None:
    user = session.user
    owned = {world.brands[each].iys_code for each in session.brands if each in world.brands}
    own_code = user.iys_code == iys_code if user.role == "provider" else iys_code in owned
    if not own_code:
        raise fail("H353", ["iysCode"], iys_code)
    if iys_code not in world.providers:
        raise fail("H196", ["iysCode"], iys_code)  # the token still names it, the server no longer does
    if not brand:
        return
    if brand not in session.brands:
        raise fail("H353", ["brandCode"], brand)
    if brand not in world.brands:
        raise fail("H195", ["brandCode"], brand)
    if world.brands[brand].iys_code != iys_code:
        raise fail("H353", ["brandCode"], brand)


def _read_code(text: str, code: str, name: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise fail(code, [name], text)
    return int(text)
