"""Requests that a provider has not answered yet, known to every worker.

A client that leaves and comes again may reach another worker while the first attempt is still at the provider. Once
that takes longer than ``MARK_AFTER_S``, or the client has left, a mark stands in the memory of retries, which each
look-up reads anyway: so a request that is answered sooner costs nothing, any other one write, and one to take it back;
nobody waits for either. Who finds the mark of another worker waits for its end, which the memory of retries then tells
of; if it does not come, nothing is sent. A worker that ends in between leaves its mark: what it had handed over stays
an unknown outcome.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable

import structlog

from filters.consent_key import KEY_BYTES
from gateway.ports import ConsentIndex

log = structlog.stdlib.get_logger(__name__)

MARK_AFTER_S = 0.25
LOOK_EVERY_S = 0.05
"""Whether the client has left."""
WAIT_S = 8.0
LOOK_AGAIN_S = 0.25

_PREFIX = b"\xff" * 5
"""No consent key begins like this, but one in 2**40; that one's retry would wait without need."""


class AtProvider:
    """The marks of one worker. ``note`` hears whether each mark was kept."""

    def __init__(self, index: ConsentIndex, note: Callable[[bool], None]) -> None:
        self._index = index
        self._note = note
        self._own: set[bytes] = set()
        self._unmarked: dict[HandOver, None] = {}
        self._is_looking = False

    def begin(self, digest: bytes, is_gone: Callable[[], bool]) -> HandOver:
        """The request of ``digest`` is about to be handed over. ``is_gone`` says whether its client has left."""
        hand_over = HandOver(self, digest, is_gone)
        self._unmarked[hand_over] = None
        if not self._is_looking:
            self._is_looking = True
            asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)
        return hand_over

    def _look(self) -> None:
        """At all of them: a timer for each would cost more than all else about those that are answered at once."""
        try:
            for each in [each for each in self._unmarked if each.is_to_be_marked()]:
                del self._unmarked[each]
                each.mark()
        finally:
            self._is_looking = bool(self._unmarked)
            if self._is_looking:
                asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def is_elsewhere(self, taken: Iterable[bytes]) -> bool:
        """Whether another worker's mark is in what is remembered of a request."""
        return any(each.startswith(_PREFIX) and each not in self._own for each in taken)


class HandOver:
    """One request at the provider. ``end`` once its outcome is known, and remembered where it has to be."""

    __slots__ = ("_digest", "_is_gone", "_is_kept", "_is_known", "_looks", "_marks", "_name")

    def __init__(self, marks: AtProvider, digest: bytes, is_gone: Callable[[], bool]) -> None:
        self._marks = marks
        self._digest = digest
        self._name = b""
        self._is_kept = self._is_known = False
        self._is_gone = is_gone
        self._looks = -1

    def end(self, is_known: bool) -> None:
        """A request that was cut off (``is_known`` False) keeps its mark: the provider may have it."""
        self._marks._unmarked.pop(self, None)
        self._is_known = is_known
        if self._is_kept and is_known:
            self._take_back()

    def is_to_be_marked(self) -> bool:
        """Asked every ``LOOK_EVERY_S``, the first time within that."""
        self._looks += 1
        return self._looks * LOOK_EVERY_S >= MARK_AFTER_S or self._is_gone()

    def mark(self) -> None:
        """Tell the other workers."""
        self._name = _PREFIX + os.urandom(KEY_BYTES - len(_PREFIX))
        self._marks._own.add(self._name)
        try:
            self._marks._index.remember_taken(self._digest, [self._name], self._marked)
        except Exception as fault:  # it goes on without its mark, and the sweep with the others
            log.error("retry.not_marked", fault=type(fault).__name__, exc_info=fault)

    def _marked(self, is_kept: bool) -> None:
        self._is_kept = is_kept
        self._marks._note(is_kept)
        if self._is_known and is_kept:
            self._take_back()
        elif not is_kept:
            self._marks._own.discard(self._name)

    def _take_back(self) -> None:
        try:
            self._marks._index.forget_taken(self._digest, [self._name], self._taken_back)
        except Exception as fault:  # left standing it only makes a repetition wait, and not be sent
            log.error("retry.mark_left", fault=type(fault).__name__, exc_info=fault)

    def _taken_back(self, is_done: bool) -> None:
        if is_done:
            self._marks._own.discard(self._name)
        else:  # it stays ours: this worker knows what became of it
            log.warning("retry.mark_left")
