"""A body met before is not analysed again, and the copies are the same octets as if it had been."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.brand import Brand
from filters.mime.footer import make_footer
from filters.mime.headers import scan_headers
from filters.mime.plan import plan_rewrite
from filters.mime.plan_memory import MAX_BODY_BYTES, MAX_PLANS, BodyKey, PlanMemory
from filters.mime.refusal import RewriteRefusal
from filters.mime.rewrite_plan import RewritePlan
from filters.mime.settings import RewriteSettings

BRAND = Brand(
    code=600123,
    iys_code=600123,
    name="Örnek Mağaza",
    title="Örnek Mağaza A.Ş.",
    mersis="0123456789012345",
    opt_out_url="https://izin.example",
)
FOOTER = make_footer(BRAND)
URL = "https://izin.example/u/AbCd-_19"
OTHER_URL = "https://izin.example/u/ZyXw-_28"

TYPES = st.sampled_from(
    [
        b"",
        b"Content-Type: text/plain; charset=utf-8\r\n",
        b"Content-Type: text/html\r\n",
        b'Content-Type: multipart/alternative; boundary="s"\r\n',
        b'Content-Type: multipart/mixed; boundary="s"\r\n',
        b"Content-Type: text/plain\r\nContent-MD5: abc\r\n",
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n",
        b"Content-Type: image/png\r\n",
    ]
)
BODIES = st.sampled_from(
    [
        b"Merhaba\r\n",
        b"",
        b"<p>Merhaba</p></body>\r\n",
        b"--s\r\n\r\nMerhaba\r\n--s\r\nContent-Type: text/html\r\n\r\n<b>x</b>\r\n--s--\r\n",
        b"TWVyaGFiYQ==\r\n",
        b"Listeden cikin: {{opt_out_url}}\r\n",
        f"Listeden cikin: {URL}\r\n".encode(),
        b"Merhaba =C3=BC\r\n",
    ]
)
HEADS = st.lists(
    st.sampled_from(
        [
            b"Subject: bir\r\n",
            b"To: a@musteri.example\r\n",
            b"List-Unsubscribe: <https://baska.example/x>\r\n",
            b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
            b"List-Id: <bulten.shop.example>\r\n",
            b"DKIM-Signature: v=1; d=shop.example; h=from:list-unsubscribe; b=x\r\n",
            b"X-Izin-Class: commercial\r\n",
            b"broken line\r\n",
        ]
    ),
    max_size=4,
).map(b"".join)
MESSAGES = st.lists(st.tuples(HEADS, TYPES, BODIES, st.booleans()), min_size=1, max_size=12)


def plan_of(
    content: bytes, memory: PlanMemory | None, *, has_8bitmime: bool = True, keeps: bool = False
) -> RewritePlan | RewriteRefusal:
    return plan_rewrite(
        content,
        scan_headers(content),
        FOOTER,
        RewriteSettings(keep_sender_optout=keeps, signed_domains=frozenset({b"shop.example"})),
        remove=frozenset({b"x-izin-class"}),
        has_8bitmime=has_8bitmime,
        is_smtputf8=False,
        memory=memory,
    )


@settings(max_examples=300, deadline=None)
@given(MESSAGES, st.booleans())
def test_with_and_without_memory_the_copies_are_the_same_octets(
    messages: list[tuple[bytes, bytes, bytes, bool]], keeps: bool
) -> None:
    """Whatever messages came before: headers, types, bodies and next hops in any order, each three times."""
    memory = PlanMemory()
    for head, kind, body, has_8bitmime in messages * 3:
        content = b"From: a@shop.example\r\n" + head + kind + b"\r\n" + body
        remembered = plan_of(content, memory, has_8bitmime=has_8bitmime, keeps=keeps)
        fresh = plan_of(content, None, has_8bitmime=has_8bitmime, keeps=keeps)
        if isinstance(fresh, RewriteRefusal) or isinstance(remembered, RewriteRefusal):
            assert remembered == fresh
            continue
        for url in (URL, OTHER_URL):
            assert remembered.render(url, "", b"X: y\r\n") == fresh.render(url, "", b"X: y\r\n")
            assert remembered.may_have_dot_lines or b"\r\n." not in remembered.render(url, "", b"")
        for attribute in ("views", "removed_signatures", "replaced_values", "warnings", "max_url_bytes"):
            assert getattr(remembered, attribute) == getattr(fresh, attribute)


def test_the_third_message_with_one_body_uses_what_the_second_left() -> None:
    """The first only leaves a hash: personal bodies, which never come again, cost no memory."""
    memory = PlanMemory()
    content = b"Subject: %d\r\n\r\nMerhaba\r\n"
    plans = [plan_of(content % number, memory) for number in range(4)]
    assert all(isinstance(plan, RewritePlan) for plan in plans)
    first, second, third, fourth = (plan.found for plan in plans if isinstance(plan, RewritePlan))
    assert first is not second
    assert third is second
    assert fourth is second


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"Subject: x\r\n\r\nMerhaba.\r\n", False),
        (b"Subject: x\r\n\r\n.profile\r\n", True),
        (b"Subject: x\r\n\r\nMerhaba\r\n.\r\n", True),
        (b".x: y\r\n\r\nMerhaba.\r\n", True),
        (b"Subject: x\r\n.x: y\r\n\r\nMerhaba.\r\n", True),
    ],
)
def test_a_plan_knows_whether_a_line_begins_with_a_dot(content: bytes, expected: bool) -> None:
    """In the body, at its very beginning, and in each message's own header."""
    memory = PlanMemory()
    for _ in range(3):
        plan = plan_of(content, memory)
        assert isinstance(plan, RewritePlan)
        assert plan.may_have_dot_lines is expected


def test_bodies_of_one_hash_are_told_apart() -> None:
    """The hash looks at some octets only; two bodies that differ elsewhere have a plan each."""
    memory = PlanMemory()
    bodies = [b"x" * 1001 + letter + b"\r\n" + b"x" * 4000 for letter in (b"a", b"b")]
    assert len({hash(BodyKey(True, b"", body)) for body in bodies}) == 1
    for _ in range(3):
        for body in bodies:
            plan = plan_of(b"\r\n" + body, memory)
            assert isinstance(plan, RewritePlan)
            assert body in plan.render(URL, "", b"")


def test_a_body_that_shows_our_link_already_is_always_looked_at() -> None:
    """Whether it counts depends on the recipient, so the plan of one message may not serve the next."""
    memory = PlanMemory()
    content = b"Subject: x\r\n\r\n" + f"Listeden cikin: {URL}\r\n".encode()
    for _ in range(4):
        plan = plan_of(content, memory)
        assert isinstance(plan, RewritePlan)
        assert plan.render(URL, "", b"").count(URL.encode()) == 2  # header and the sender's own text
        assert plan.render(OTHER_URL, "", b"").count(OTHER_URL.encode()) == 2  # header and footer


def test_memory_is_bounded() -> None:
    """Neither many bodies nor a large one can fill it."""
    memory = PlanMemory()
    plan = plan_of(b"\r\nx\r\n", None)
    assert isinstance(plan, RewritePlan)
    keys = [BodyKey(True, b"", b"%d" % number) for number in range(3 * MAX_PLANS)]
    for key in keys * 2:
        memory.keep(key, plan)
    kept = [key for key in keys if memory.find(key) is not None]
    assert len(kept) == MAX_PLANS
    assert kept == keys[-MAX_PLANS:]
    large = BodyKey(True, b"", b"x" * (MAX_BODY_BYTES + 1))
    for _ in range(3):
        memory.keep(large, plan)
    assert memory.find(large) is None
