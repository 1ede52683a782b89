"""What a request is does not depend on the requests before it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from filters.classify import TagHeaders
from filters.client import Client
from filters.sms.http import HttpRequest
from filters.sms.message import Submission
from filters.vocabulary import MessageClass, RecipientType
from gateway.sms.tags import SmsTags
from tests.support.sms_world import SHOP, make_brand

BRANDS = {SHOP: make_brand()}
CLIENTS = (
    Client("shop", (SHOP,)),
    Client("shop", (SHOP,), fixed_class=MessageClass.INFORMATIONAL),
    Client("bank", (SHOP,), allowed_classes=frozenset({MessageClass.INFORMATIONAL})),
    Client("nobody", ()),
)
REQUESTS = st.tuples(
    st.sampled_from(CLIENTS),
    st.sampled_from([None, *MessageClass]),
    st.sampled_from([None, *RecipientType]),
    st.sampled_from(["", str(SHOP), "7", "shop"]),
    st.sampled_from(["", "spring", "autumn"]),
    st.sampled_from(
        [(), (("x-izin-class", "commercial"),), (("x-izin-class", "informational"),), (("accept", "*/*"),)]
    ),
)


@given(st.lists(REQUESTS, max_size=12))
def test_each_request_is_classified_as_if_it_were_the_first(
    requests: list[tuple[Client, MessageClass | None, RecipientType | None, str, str, tuple[tuple[str, str], ...]]],
) -> None:
    used = SmsTags(TagHeaders(), BRANDS)
    for client, tag_class, tag_type, brand, campaign, headers in requests:
        request = HttpRequest("POST", "/", "", headers)
        submission = Submission(
            "plain", "send", [], [], tag_class=tag_class, tag_type=tag_type, brand=brand, campaign=campaign
        )
        fresh = SmsTags(TagHeaders(), BRANDS).classify(request, submission, client)
        assert used.classify(request, submission, client) == fresh
