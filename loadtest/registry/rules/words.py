"""The words of the registry, and how the simulator numbers them in its file."""

from __future__ import annotations

TYPES = ("ARAMA", "MESAJ", "EPOSTA")
RECIPIENT_TYPES = ("BIREYSEL", "TACIR")
STATUSES = ("RET", "ONAY")  # so that 1 is a consent

PROVIDER_SOURCES = frozenset(
    {
        "HS_2015",
        "HS_KARAR",
        "HS_FIZIKSEL_ORTAM",
        "HS_ISLAK_IMZA",
        "HS_ETKINLIK",
        "HS_ATM",
        "HS_EORTAM",
        "HS_WEB",
        "HS_MOBIL",
        "HS_MESAJ",
        "HS_EPOSTA",
        "HS_CAGRI_MERKEZI",
        "HS_SOSYAL_MEDYA",
    }
)
LINE_CLOSED = "IYS_AHS_HAT_KAPATMA"
CITIZEN_ADDED = "IYS_WEB_YENI"
CITIZEN_SOURCES = (
    "IYS_WEB",
    CITIZEN_ADDED,
    "IYS_MOBIL",
    "IYS_CM",
    "IYS_KISAMESAJ",
    "IYS_EPOSTA",
    LINE_CLOSED,
    "IYS_FRAME_EPOSTA",
    "IYS_FRAME_SMS",
)

MAX_BULK = 1000
MAX_RECIPIENTS = 1000
MAX_ACCESS_IN_CONSENT = 3000  # the schema's figure; the error table's 100 holds for the access calls
MAX_ACCESS = 100
MAX_PAGE = 100
MAX_CHANGES = 1000
MAX_RETAILERS = 3000
MAX_LINKS = 100
