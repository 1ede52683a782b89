"""What a request is: HTTP fields, the dialect's own fields, rules of the configuration and rights of the client.

The same classifier as for mail (``filters.classify``), with the dialect's own tag as one more field beside the HTTP
ones: two that disagree refuse the request, as two header fields of a mail would.
"""

from __future__ import annotations

from collections.abc import Mapping

from filters.brand import Brand
from filters.classify import Classification, ClassificationRefusal, TagField, TagHeaders, classify
from filters.client import Client
from filters.reason import Reason
from filters.sms.dialect import Fault
from filters.sms.http import HttpRequest
from filters.sms.message import Submission
from filters.vocabulary import MessageClass, RecipientType

# No HTTP field has these names here: only those of the configuration are taken from requests.
_CLASS, _BRAND, _TYPE, _CAMPAIGN = b".class", b".brand", b".recipient-type", b".campaign"


_About = tuple[str, MessageClass | None, str, RecipientType | None]
_MOST_KNOWN = 256


class SmsTags:
    """Reads tags. ``headers`` are the fields of the configuration; their names must not go upstream."""

    def __init__(self, headers: TagHeaders, brands: Mapping[int, Brand]) -> None:
        self._brands = brands
        self._known: dict[_About, tuple[Client, Classification | ClassificationRefusal]] = {}
        self.names = frozenset(name.decode("ascii") for name in headers.names)
        self._fields = TagHeaders(
            (*headers.message_class, TagField(_CLASS)),
            (*headers.brand, TagField(_BRAND)),
            (*headers.recipient_type, TagField(_TYPE)),
            (*headers.campaign, TagField(_CAMPAIGN)),
        )

    def classify(
        self, request: HttpRequest, submission: Submission, client: Client
    ) -> Classification | ClassificationRefusal:
        """Class, brand, recipient type and campaign of one request of ``client``."""
        about = (client.name, submission.tag_class, submission.brand, submission.tag_type)
        # What HTTP fields or campaigns say may differ with every request.
        is_usual = not submission.campaign and self.names.isdisjoint([name for name, _ in request.headers])
        if is_usual and (known := self._known.get(about)) is not None and known[0] is client:
            return known[1]
        tags: dict[bytes, list[bytes]] = {}
        for name, value in request.headers:
            if name in self.names:
                tags.setdefault(name.encode("ascii"), []).append(value.encode("utf-8", "surrogateescape"))
        for name_of_ours, said in (
            (_CLASS, submission.tag_class),
            (_BRAND, submission.brand),
            (_TYPE, submission.tag_type),
            (_CAMPAIGN, submission.campaign),
        ):
            if said:
                tags[name_of_ours] = [str(said).encode("utf-8", "surrogatepass")]
        found = classify(tags, client, self._brands, self._fields)
        if is_usual:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[about] = client, found
        return found


def fault_of(refusal: ClassificationRefusal) -> tuple[Fault, str]:
    """The dialect's fault for a request that cannot be classified, and a sentence for the sender."""
    fault = Fault.MALFORMED if refusal.reason is Reason.TAG_INVALID else Fault.NOT_ALLOWED
    return fault, f"{refusal.reason}: {refusal.reason.sentence_en}"
