"""İleti Merkezi's codes and sentences (sms-dialects 4.1)."""

from __future__ import annotations

from filters.sms.dialect import Fault

_SENTENCES: dict[int, str] = {
    200: "İşlem başarılı",
    400: "İstek çözümlenemedi",
    401: "Üyelik bilgileri hatalı",
    404: "API istek yönteminiz hatalı",
    429: "Çok fazla istek gönderildi",
    450: "Gönderilen başlık kullanıma uygun değil",
    452: "Mesaj alıcıları hatalı",
    453: "Mesaj metni ya da mesaj boyutu uzun",
    454: "Mesaj metni boş",
    455: "Sipariş bulunamadı",
    457: "Mesaj gönderim tarihinin formatı hatalı",
    466: "Geçersiz numara",
    468: "iys alanı eksik ya da hatalı",
    469: "iysList alanı eksik ya da hatalı",
    470: "Hesabınıza tanımlı İYS marka kodu yok",
    503: "Sunucu geçici olarak servis dışı",
}

_CODES: dict[Fault, int] = {
    Fault.MALFORMED: 400,
    Fault.UNKNOWN_FIELD: 400,
    Fault.BAD_NUMBER: 466,
    Fault.TOO_MANY_RECIPIENTS: 400,
    Fault.TOO_LARGE: 400,
    Fault.NO_TEXT: 454,
    Fault.TEXT_TOO_LONG: 453,
    Fault.NOT_ALLOWED: 470,
    Fault.UNAUTHENTICATED: 401,
    Fault.TOO_MANY_REQUESTS: 429,
    Fault.NOT_FOUND: 404,
    Fault.UNAVAILABLE: 503,
    Fault.UNKNOWN_OUTCOME: 503,
}

_CODES_OF_FIELDS: dict[str, int] = {
    "order.iys": 468,
    "order.iysList": 469,
    "order.sendDateTime": 457,
    "order.sender": 450,
}
"""The provider has codes of its own for faults in these fields."""


def status_code_of(fault: Fault, detail: str) -> int:
    """The code for ``fault`` in the field that ``detail`` names."""
    if fault is Fault.MALFORMED:
        return _CODES_OF_FIELDS.get(detail.partition(":")[0], _CODES[fault])
    return _CODES[fault]


def sentence_of(code: int, detail: str = "") -> str:
    """The provider's sentence for ``code``, with ``detail`` behind it."""
    sentence = _SENTENCES.get(code, "İşlem yapılamadı")
    return f"{sentence} ({detail})" if detail else sentence
