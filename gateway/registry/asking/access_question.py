"""What the registry is asked to learn which dealers one consent is open to (İYS API reference, 6.4 and 8.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from filters.registry.call import Priority
from filters.registry.error_codes import Advice
from filters.registry.failures import CallFailure, Failure
from filters.registry.values import ConsentSubject, Retailer
from filters.vocabulary import Status
from gateway.registry.ports import BrandLink

PAGE = 100
ACTIVE = "active"
"""A dealer counts while the registry calls it so."""


class Access(NamedTuple):
    """``codes``: dealers who may use the consent; ``is_taker_known``: whoever took it is among them, if it was one."""

    codes: frozenset[int]
    is_taker_known: bool


async def read_access(
    link: BrandLink, subject: ConsentSubject, priority: Priority, took_page: Callable[[], object] = lambda: None
) -> list[Retailer] | CallFailure:
    """All dealers with access, page by page; ``took_page`` is called before each page but the first."""
    api = link.api.with_priority(priority)
    found: list[Retailer] = []
    while True:
        page = await api.access(link.registry, subject, len(found), PAGE)
        if isinstance(page, Failure):
            return page
        found += page.items
        if len(page.items) < PAGE or len(found) >= (page.total or 0):
            return found
        took_page()


async def ask_access(
    link: BrandLink,
    subject: ConsentSubject,
    dealer: int,
    priority: Priority,
    may_ask_single: Callable[[], bool],
    took_page: Callable[[], object] = lambda: None,
) -> Access | CallFailure:
    """The list first; where it does not name ``dealer``, a status query says who took the consent, if one may be made.

    What the registry does not take for a consent is open to nobody. Raises ``ValueError`` for what must not be sent.
    """
    found = await read_access(link, subject, priority, took_page)
    if isinstance(found, Failure):
        return Access(frozenset(), is_taker_known=True) if found.advice is Advice.NEVER else found
    codes = frozenset(each.retailer_code for each in found if each.status == ACTIVE)
    if dealer in codes:
        return Access(codes, is_taker_known=False)
    if any(each.retailer_code == dealer for each in found):  # and not active: whoever took it, he may not use it now
        return Access(codes, is_taker_known=True)
    if not may_ask_single():
        return Access(codes, is_taker_known=False)
    stored = await link.api.with_priority(priority).status(link.registry, subject)
    if isinstance(stored, Failure):
        return stored if stored.advice is not Advice.NEVER else Access(codes, is_taker_known=True)
    if stored is None or stored.status is not Status.APPROVED:
        return Access(frozenset(), is_taker_known=True)
    taker = frozenset[int]() if stored.retailer_code is None else frozenset({stored.retailer_code})
    return Access(codes | taker, is_taker_known=True)
