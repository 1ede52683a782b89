"""Whatever is added in whatever order, the registry agrees with a dictionary that follows section 3 in a few lines."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from loadtest.registry.api import adding, asking
from loadtest.registry.api.call import Answer, Call
from loadtest.registry.book.consents import CitizenError
from loadtest.registry.book.world import DEFAULT_USERNAME
from loadtest.registry.clock import Clock
from loadtest.registry.door.tokens import Session
from loadtest.registry.registry import Registry
from loadtest.registry.rules.codes import RegistryError
from loadtest.registry.rules.dates import parse_instant, render_instant
from loadtest.registry.rules.words import RECIPIENT_TYPES, TYPES
from tests.support.registry_world import NOON, item, key

BRAND = 600123
START = parse_instant("2026-11-18 10:00:00")
ADDRESSES = ("a@example.com", "B@example.com", "b@example.com")
KEYS = st.tuples(st.sampled_from(ADDRESSES), st.sampled_from(RECIPIENT_TYPES))
ITEMS = st.tuples(KEYS, st.sampled_from(["ONAY", "RET"]), st.integers(0, 6))


class Agreement(RuleBasedStateMachine):
    """``model``: (address, recipient type) to (status, date). ``moves``: how many movements each key has had."""

    @initialize()
    def start(self) -> None:
        self.registry = Registry(clock=Clock(float(parse_instant(NOON)), 0.0))
        self.registry.settings.bulk_delay_s = 0.0
        self.model: dict[tuple[str, str], tuple[str, int]] = {}
        self.moves: dict[tuple[str, str], int] = {}
        self.receipts: dict[str, str] = {}

    def teardown(self) -> None:
        if hasattr(self, "registry"):
            self.registry.close()

    def call(self, handler: Any, body: Any, *, is_v2: bool = False, **parts: str) -> Answer | list[str]:
        """The answer, or the codes of the refusal."""
        session = Session(self.registry.world.users[DEFAULT_USERNAME], frozenset({BRAND}))
        now_ms = self.registry.settle()
        content = json.dumps(body).encode()
        call = Call(self.registry, session, "test", BRAND, BRAND, parts, {}, content, "", is_v2, now_ms)
        try:
            made = handler(call)
        except RegistryError as error:
            return [each["code"] for each in error.entries]
        assert isinstance(made, Answer)
        return made

    def expect(self, of: tuple[str, str], status: str, at: int) -> str | None:
        """What section 3 says: the code, or None and the model has moved on."""
        stored = self.model.get(of)
        if stored is None:
            if status == "RET":
                return "H175"
        elif status == stored[0] and (status == "RET" or at == stored[1]):
            return "H174"
        elif at < stored[1]:
            return "H178"
        self.model[of] = (status, at)
        self.moves[of] = self.moves.get(of, 0) + 1
        return None

    @rule(given=ITEMS, is_v2=st.booleans())
    def add(self, given: Any, is_v2: bool) -> None:
        """One at a time; V2 answers what it has heard before."""
        (address, kind), status, second = given
        of = (address.lower(), kind)
        body = item(recipient=address, recipientType=kind, status=status, consentDate=render_instant(START + second))
        mark = json.dumps(body | {"recipient": of[0]})
        answer = self.call(adding.add_consent, body, is_v2=is_v2)
        if is_v2 and mark in self.receipts:
            assert isinstance(answer, Answer)
            assert answer.body["transactionId"] == self.receipts[mark]
            return
        code = self.expect(of, status, START + second)
        if code is not None:
            assert answer == [code]
            return
        assert isinstance(answer, Answer)
        self.receipts.setdefault(mark, answer.body["transactionId"])

    @rule(given=st.lists(ITEMS, min_size=1, max_size=4))
    def add_many(self, given: Any) -> None:
        """In bulk: refused whole where a key repeats, else item by item as if one at a time."""
        bodies = [
            item(recipient=address, recipientType=kind, status=status, consentDate=render_instant(START + second))
            for (address, kind), status, second in given
        ]
        answer = self.call(adding.add_many, bodies)
        keys = [(address.lower(), kind) for (address, kind), _, _ in given]
        if len(set(keys)) < len(keys):
            assert answer == ["H194"] * (len(keys) - len(set(keys)))
            return
        assert isinstance(answer, Answer)
        assert answer.status == 202
        expected = [
            self.expect(of, status, START + second) for of, (_, status, second) in zip(keys, given, strict=True)
        ]
        request = answer.body["requestId"]
        results = self.call(adding.poll, None, requestId=request)
        assert isinstance(results, Answer)
        entries: list[Any] = results.body
        assert [each.get("error", {}).get("code") for each in entries] == expected
        for body, of, entry in zip(bodies, keys, entries, strict=True):
            if entry["status"] == "success":
                self.receipts.setdefault(json.dumps(body | {"recipient": of[0]}), entry["transactionId"])

    @rule(of=KEYS, status=st.sampled_from([0, 1]))
    def play_the_citizen(self, of: Any, status: int) -> None:
        """Without rules of dates: the citizen's word stands, if it says something new."""
        address, kind = of[0].lower(), of[1]
        stored = self.model.get((address, kind))
        at = self.registry.clock.now_ms() // 1000
        place = (TYPES.index("EPOSTA"), RECIPIENT_TYPES.index(kind), address)
        try:
            self.registry.consents.move(BRAND, place, status, "IYS_WEB", self.registry.settle())
        except CitizenError:
            assert stored is None if status == 0 and stored is None else stored is not None
            assert stored is None or stored[0] == ("RET", "ONAY")[status]
        else:
            assert stored is not None or status == 1
            self.model[address, kind] = (("RET", "ONAY")[status], at)
            self.moves[address, kind] = self.moves.get((address, kind), 0) + 1

    @rule(seconds=st.integers(1, 3))
    def pass_time(self, seconds: int) -> None:
        self.registry.clock.move(self.registry.clock.now() + seconds)

    @invariant()
    def agrees(self) -> None:
        """Single status, multi status, history and counts all tell what the dictionary holds."""
        if not hasattr(self, "registry"):
            return
        for kind in RECIPIENT_TYPES:
            answer = self.call(
                asking.multi_status,
                {"recipients": ["a@example.com", "b@example.com"]},
                recipientType=kind,
                type="EPOSTA",
            )
            assert isinstance(answer, Answer)
            approved = [
                address for address, each in self.model if each == kind and self.model[address, each][0] == "ONAY"
            ]
            assert sorted(answer.body["list"]) == sorted(approved)
            for address in ("a@example.com", "b@example.com"):
                status = self.call(asking.single_status, key(recipient=address, recipientType=kind))
                assert isinstance(status, Answer)
                found: Any = status.body
                expected = self.model.get((address, kind))
                shown = (found["status"], found["consentDate"]) if found else None
                assert shown == (None if expected is None else (expected[0], render_instant(expected[1])))
                history = self.call(asking.history, key(recipient=address, recipientType=kind))
                assert isinstance(history, Answer)
                assert history.body["pagination"]["totalCount"] == self.moves.get((address, kind), 0)
        counts = self.registry.consents.counts(BRAND)
        statuses = [status for status, _ in self.model.values()]
        assert counts == (statuses.count("ONAY"), statuses.count("RET"))


TestAgreement = Agreement.TestCase
TestAgreement.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
