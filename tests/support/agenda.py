"""How a port behaves in a test: at once or late, once or twice, with an exception before or after its word.

The second implementations of the ports (memory_index, memory_writer, scripted_upstream) ask their ``manner`` at each
call. What is late goes onto an ``Agenda``, from which the test delivers it in whatever order it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum


class Manner(StrEnum):
    """What a port does with one call."""

    AT_ONCE = "at once"
    LATE = "late"
    TWICE = "twice"
    RAISES = "raises"
    TELLS_AND_RAISES = "tells and raises"
    FAILS = "fails"
    FAILS_LATE = "fails late"
    IS_WRONG = "is wrong"
    """Answers what no caller can use: a wrong number of things, or bytes that mean nothing."""


def always(manner: Manner) -> Callable[[], Manner]:
    return lambda: manner


def in_turn(manners: Iterable[Manner], afterwards: Manner = Manner.AT_ONCE) -> Callable[[], Manner]:
    """One after the other, then ``afterwards`` for ever."""
    left: Iterator[Manner] = iter(manners)
    return lambda: next(left, afterwards)


class Agenda:
    """Callbacks that ports still owe."""

    def __init__(self) -> None:
        self.owed: list[Callable[[], object]] = []

    def deliver(self, number: int = 0) -> None:
        """Carry out one of them."""
        self.owed.pop(number % len(self.owed))()

    def deliver_all(self, choose: Callable[[int], int] = lambda _count: 0) -> None:
        """Carry out all, also those that come up meanwhile; ``choose(how many)`` says which is next."""
        while self.owed:
            self.deliver(choose(len(self.owed)))


class PortFaultError(RuntimeError):
    """What a port raises; the text holds what must not be told on."""

    def __init__(self) -> None:
        super().__init__("no route to ayse@example.com")


def behave(manner: Manner, agenda: Agenda, tell: Callable[[], object], fail: Callable[[], object]) -> None:
    """Carry out ``manner``: ``tell`` says what is so, ``fail`` that it failed."""
    if manner is Manner.RAISES:
        raise PortFaultError
    if manner is Manner.LATE:
        agenda.owed.append(tell)
    elif manner is Manner.FAILS_LATE:
        agenda.owed.append(fail)
    elif manner in (Manner.FAILS, Manner.IS_WRONG):
        fail()
    else:
        tell()
        if manner is Manner.TWICE:
            tell()
        if manner is Manner.TELLS_AND_RAISES:
            raise PortFaultError
