"""The words on the pages, in Turkish and English.

What is promised holds for any token: a page cannot know the person, only which link was opened.
"""

from __future__ import annotations

from enum import StrEnum

from filters.vocabulary import Channel
from gateway.opt_out.language import Language


class Notice(StrEnum):
    """Small pages that say what went wrong."""

    NOT_FOUND = "not_found"
    NOT_RECORDED = "not_recorded"
    TOO_OFTEN = "too_often"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    INVALID = "invalid"


# What the messages are called and what is done with them. Turkish takes the words with their suffixes, so they are
# written out for each channel.
_MESSAGES: dict[Language, dict[Channel, dict[str, str]]] = {
    "tr": {
        Channel.EMAIL: {
            "kind": "ticari e-posta",
            "address": "e-posta adresine",
            "stops": "gönderilmez",
            "stopped": "gönderilmeyecek",
            "button": "E-posta almak istemiyorum",
        },
        Channel.SMS: {
            "kind": "ticari SMS",
            "address": "telefon numarasına",
            "stops": "gönderilmez",
            "stopped": "gönderilmeyecek",
            "button": "SMS almak istemiyorum",
        },
        Channel.CALL: {
            "kind": "ticari arama",
            "address": "telefon numarasına",
            "stops": "yapılmaz",
            "stopped": "yapılmayacak",
            "button": "Aranmak istemiyorum",
        },
    },
    "en": {
        Channel.EMAIL: {
            "kind": "commercial e-mails",
            "address": "e-mail address",
            "sent": "sent",
            "button": "Stop these e-mails",
        },
        Channel.SMS: {
            "kind": "commercial text messages",
            "address": "phone number",
            "sent": "sent",
            "button": "Stop these text messages",
        },
        Channel.CALL: {
            "kind": "commercial calls",
            "address": "phone number",
            "sent": "made",
            "button": "Stop these calls",
        },
    },
}

# For whom: the brand, or a sender the token does not name.
_NAMED: dict[Language, str] = {"tr": "{brand} adına", "en": "on behalf of {brand}"}
_UNNAMED: dict[Language, str] = {"tr": "gönderici adına", "en": "on behalf of this sender"}

_PAGES: dict[Language, dict[str, str]] = {
    "tr": {
        "ask_title": "İleti reddi",
        "ask_heading": "Artık {kind} almak istemiyor musunuz?",
        "ask_text": (
            "Aşağıdaki düğmeye bastığınızda bu bağlantının gönderildiği {address} {sender} artık {kind} {stops}. "
            "Ret hakkınızı kullanmak ücretsizdir, gerekçe göstermeniz gerekmez."
        ),
        "ask_hint": "Düğmeye basmadığınız sürece hiçbir şey değişmez.",
        "why_heading": "Bu sayfa neden karşıma çıktı?",
        "why_text": (
            "Aldığınız ticari iletideki ret bağlantısını açtınız. Buradaki ret, yalnızca bu göndericinin bu kanaldan "
            "gönderdiği ticari iletileri durdurur. Sipariş, teslimat ve üyelik gibi bilgilendirme iletileri ticari "
            "ileti sayılmaz."
        ),
        "others_text": (
            "SMS, e-posta ve arama izinlerinizin tümünü İleti Yönetim Sistemi (İYS) üzerinden veya e-Devlet "
            "Kapısı’ndan görebilir ve değiştirebilirsiniz."
        ),
        "done_title": "Talebiniz alındı",
        "done_heading": "Talebiniz alındı",
        "done_text": (
            "Bu bağlantının ait olduğu {address} {sender} artık {kind} {stopped}. Ret, İleti Yönetim Sistemi’ne (İYS) "
            "de bildirilecek."
        ),
        "done_hint": (
            "Başka bir işlem yapmanız gerekmez, bu sayfayı kapatabilirsiniz. İleti almaya devam ederseniz bağlantıyı "
            "son gelen iletiden açın; kopyalanırken eksilmiş olabilir."
        ),
        "identity_sender": "Gönderici",
        "identity_mersis": "MERSİS",
        "identity_contact": "İletişim",
        "logo_alt": "{brand} logosu",
    },
    "en": {
        "ask_title": "Opt out",
        "ask_heading": "Stop receiving {kind}?",
        "ask_text": (
            "When you press the button below, no more {kind} will be {sent} {sender} to the {address} that received "
            "this link. Opting out is free and you need not give a reason."
        ),
        "ask_hint": "Nothing changes until you press the button.",
        "why_heading": "Why am I seeing this page?",
        "why_text": (
            "You opened the opt-out link of a commercial message. Opting out here stops commercial messages of this "
            "sender over this channel only. Notices about orders, deliveries or memberships are not commercial "
            "messages."
        ),
        "others_text": (
            "You can see and change all your permissions for text messages, e-mails and calls in the national Message "
            "Management System (İYS) or at the e-Devlet portal."
        ),
        "done_title": "Request received",
        "done_heading": "We have received your request",
        "done_text": (
            "No more {kind} will be {sent} {sender} to the {address} this link belongs to. The refusal will also be "
            "reported to the national Message Management System (İYS)."
        ),
        "done_hint": (
            "There is nothing else to do, you can close this page. Should messages go on, open the link in the latest "
            "one: it may have been cut off when it was copied."
        ),
        "identity_sender": "Sender",
        "identity_mersis": "MERSİS",
        "identity_contact": "Contact",
        "logo_alt": "Logo of {brand}",
    },
}

_NOTICES: dict[Language, dict[Notice, tuple[str, str]]] = {
    "tr": {
        Notice.NOT_FOUND: (
            "Sayfa bulunamadı",
            "Bu adreste bir sayfa yok. İleti reddi için size gelen iletideki bağlantının tamamını açın.",
        ),
        Notice.NOT_RECORDED: (
            "Talebiniz kaydedilemedi",
            "Geçici bir aksaklık nedeniyle ret talebiniz kaydedilemedi. Lütfen birkaç dakika sonra yeniden deneyin.",
        ),
        Notice.TOO_OFTEN: (
            "Çok sık denendi",
            "Bu bağlantı kısa sürede çok kez kullanıldı, bu kez kaydedilmedi. Bir dakika sonra yeniden deneyin.",
        ),
        Notice.TOO_LARGE: (
            "İstek çok büyük",
            "Gönderilen veri çok büyük, talep kaydedilmedi. Lütfen sayfadaki düğmeyi kullanın.",
        ),
        Notice.TOO_SLOW: (
            "İstek tamamlanmadı",
            "Gönderim zamanında tamamlanmadı, talep kaydedilmedi. Lütfen yeniden deneyin.",
        ),
        Notice.INVALID: ("Geçersiz istek", "Bu istek anlaşılamadı, bir şey kaydedilmedi."),
    },
    "en": {
        Notice.NOT_FOUND: (
            "Page not found",
            "There is no page at this address. To opt out, open the complete link in the message you received.",
        ),
        Notice.NOT_RECORDED: (
            "Your request was not recorded",
            "Because of a temporary problem your opt-out was not recorded. Please try again in a few minutes.",
        ),
        Notice.TOO_OFTEN: (
            "Tried too often",
            "This link was used too often, this time nothing was recorded. Please try again in a minute.",
        ),
        Notice.TOO_LARGE: (
            "Request too large",
            "Too much was sent, the request was not recorded. Please use the button on the page.",
        ),
        Notice.TOO_SLOW: (
            "Request not completed",
            "Sending took too long, the request was not recorded. Please try again.",
        ),
        Notice.INVALID: ("Invalid request", "This request was not understood, nothing was recorded."),
    },
}


def find_sentences(language: Language, channel: Channel, brand_name: str) -> dict[str, str]:
    """The sentences of a page, by name; ``brand_name`` "" for a sender we cannot name."""
    sender = _NAMED[language].format(brand=brand_name) if brand_name else _UNNAMED[language]
    words = {**_MESSAGES[language][channel], "brand": brand_name, "sender": sender}
    page = {name: sentence.format_map(words) for name, sentence in _PAGES[language].items()}
    return {**page, "button": words["button"]}


def find_notice(language: Language, notice: Notice) -> tuple[str, str]:
    """Title and text of ``notice``."""
    return _NOTICES[language][notice]
