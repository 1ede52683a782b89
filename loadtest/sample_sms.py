"""Sample SMS for the demonstration: requests as Netgsm's own libraries send them, to people who consented and others.

The numbers are made up.
"""

from __future__ import annotations

from typing import Any, NamedTuple

AYSE, CAN, DENIZ, KEMAL = (f"555000000{last}" for last in range(1, 5))

CONSENTS_CSV = f"""recipient,type,recipientType,status,source,consentDate
+90{AYSE},MESAJ,BIREYSEL,ONAY,HS_WEB,2025-03-04 10:15:00
+90{CAN},MESAJ,BIREYSEL,RET,HS_MESAJ,2025-06-01 09:00:00
+90{DENIZ},MESAJ,BIREYSEL,ONAY,HS_FIZIKSEL_ORTAM,2024-11-20 16:40:12
"""
"""What the registry knows in the demonstration; of Kemal nothing."""

USERNAME, PASSWORD, TITLE = "8500000001", "sifre-1", "ORNEK"
"""An account of the simulated provider."""

KEYWORD, NUMBER = "RET ORNEK", "3338"


class SampleSms(NamedTuple):
    """One request. ``tag`` is Netgsm's ``iysfilter``: 11 commercial to individuals, 0 informational.

    ``refuses``: afterwards the first recipient sends the brand's keyword to its number.
    """

    title: str
    recipients: tuple[str, ...]
    text: str
    tag: str = "11"
    refuses: bool = False

    def body(self) -> dict[str, Any]:
        """For ``POST /sms/rest/v2/send``."""
        return {
            "msgheader": TITLE,
            "messages": [{"msg": self.text, "no": number} for number in self.recipients],
            "encoding": "TR",
            "iysfilter": self.tag,
        }


_NEWS = "Sonbahar indirimi başladı: tüm ürünlerde yüzde yirmi."


def sms_samples() -> list[SampleSms]:
    """In the order in which they are sent."""
    return [
        SampleSms("campaign to someone who consented", (AYSE,), _NEWS),
        SampleSms("campaign to someone who refused", (CAN,), _NEWS),
        SampleSms("one campaign, four recipients", (AYSE, CAN, DENIZ, KEMAL), _NEWS),
        SampleSms("delivery notice to someone who refused advertising", (CAN,), "Siparişiniz yola çıktı.", tag="0"),
        SampleSms("campaign, and the recipient answers RET ORNEK", (DENIZ,), _NEWS, refuses=True),
        SampleSms("the next campaign to the same person", (DENIZ,), "Son günler: tüm ürünlerde yüzde otuz."),
    ]
