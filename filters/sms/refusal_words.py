"""The words in which people refuse further SMS, folded (``filters.sms.letters``); Turkish and English.

Data for ``filters.sms.keyword``: a text is a refusal only if nothing else is in it.
"""

from __future__ import annotations

from typing import Final


def _list_words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


PLAIN_WORDS: Final = frozenset({"ret", "red", "stop", "stopall", "unsubscribe", "optout", "smsret", "retsms"})
"""Words so plain that as a sentence of their own they hold whatever is said after them."""

_NOUNS: Final = {"ret", "red", "iptal", "ipt", "cikis", "stop"}

CORE_PHRASES: Final = frozenset(
    tuple(phrase.split())
    for phrase in (
        *PLAIN_WORDS, *_NOUNS,
        "iptl", "smsiptal", "iptalsms", "iziniptal", "izinret", "smsred", "redsms",
        "reti", "iptali", "iptalimi", "iptalini",
        "reddet", "reddedin", "reddediyorum", "reddediyoruz", "reddettim", "retediyorum", "redediyorum",
        "dur artik", "artik dur", "durdur", "durdurun", "durdurunuz", "durdurulsun", "durdurmanizi",
        "cikar", "listeden cik", "listenizden cik", "cikarin", "cikariniz", "cikart", "cikartin", "cikarilsin",
        "cikmak istiyorum", "cikarilmak istiyorum", "cikarmanizi", "ayrilmak istiyorum", "abonelikten cik",
        "abonelikten cikar",
        "abonelikten cikmak istiyorum", "abonelikten ayril", "listeden sil", "listeden silin", "beni silin", "sil beni",
        "numarami sil", "numarami silin", "listeden kaldirin", "numarami kaldirin",
        "istemiyorum", "istemiyoruz", "istemiyom", "abone olmak istemiyorum",
        "gonderme", "gondermeyin", "gondermeyiniz", "yollama", "yollamayin", "yollamayiniz",
        "mesaj atma", "mesaj atmayin", "mesaj atmayiniz", "sms atma", "sms atmayin", "sms atmayiniz", "msj atmayin",
        "reklam atma", "reklam atmayin", "reklam atmayiniz", "reklam yapmayin",
        "mesaj yazmayin", "daha yazmayin", "daha atmayin", "daha yazma", "daha atma", "artik yazmayin", "artik atmayin",
        "rahatsiz etme", "rahatsiz etmeyin", "rahatsiz etmeyiniz",
        "izin vermiyorum", "onay vermiyorum", "onayim yok", "iznim yok", "onay yok", "izin yok",
        "onayimi geri cekiyorum", "onayimi geri aliyorum", "iznimi geri cekiyorum", "iznimi geri aliyorum",
        "onayimi iptal", "iznimi iptal", "izni iptal",
        "cancel sms", "cancel messages", "cancel all", "end sms", "opt out", "opt me out", "remove me", "take me off",
        "no more", "stop sending", "stop texting", "stop messaging", "dont send", "do not send", "dont text",
        "do not text",
        "dont message", "do not message", "dont contact", "do not contact", "leave me alone",
    )
)  # fmt: skip
"""What refuses, alone or among ``FILLERS``."""

CURT_WORDS: Final = frozenset({"h", "hayir", "no", "dur", "cik", "cancel", "end", "quit", "revoke"})
"""What refuses only alone, politely, or to a brand by name: among other words it says something else ("dur bir")."""

POLITE_WORDS: Final = _list_words(
    "lutfen ltf lutfn lutfenn rica ederim tesekkurler tesekkur tesekkurederim tsk tsklr sagol sagolun saolun",
    "merhaba merhabalar selam selamlar sayin yetkili iyi gunler aksamlar kolay gelsin",
    "please pls plz thanks thank you thx hello hi",
)

FILLERS: Final = POLITE_WORDS | _list_words(
    # what is refused
    "sms smsi smsler smsleri smslerini smslerinizi smsten smslerden smsinizi mesaj mesaji mesajlar mesajlari",
    "mesajini mesajlarini mesajinizi mesajlarinizi mesajiniz mesajdan mesajlardan msj msg reklam reklami reklamlar",
    "reklamlari reklamlarinizi reklaminizi tanitim kampanya kampanyalar kampanyalari ileti iletisi iletiler",
    "iletileri bildirim bildirimler bildirimleri bilgilendirme ticari elektronik izin izni iznimi iznini onayimi",
    "iys liste listeden listenizden listenden numara numaram numarami numaradan hattan hepsi hepsini tumu tumunu",
    # by whom, when, how
    "ben beni bana benim biz bizi bize sizden sizin siz artik bir daha bidaha hic hicbir hemen derhal acil acilen",
    "tum butun bu ve almak gelmesin gelmesini yeter kesinlikle as ltd sti",
    # the verb
    "et edin ediniz ediyorum ediyoruz edilsin eder edebilir misiniz misin edermisiniz edermisin edilmesini",
    "etmek ettirmek olsun istiyorum istiyoruz",
    # the instruction copied
    "yaz yazip yazin gonder gonderin gonderip icin",
    # English
    "me my from all the these your to this number text texts message messages sending any more anymore i want it",
    "receive now",
)
"""What may stand beside a refusal without changing it."""

WITHDRAWALS: Final = _list_words(
    "degil vazgectim vazgeciyorum yanlis yanlislikla sehven pardon geri devam mi mu mistake sorry not kalsin",
    "istiyorum",
)
"""Words after which a first sentence no longer stands."""

INVERTED: Final = frozenset({"istemiyorum", "istemiyoruz", "istemiyom"})
"""Behind one of ``NOUNS`` and ``LINKS`` these mean that no refusal is wanted."""

LINKS: Final = frozenset({"et", "etmek", "ettirmek", "olmak", "edilmesini", "almak", "icin"})
NOUNS: Final = frozenset(_NOUNS | {"reti", "iptali", "iptalimi", "iptalini", "iznimi", "izni", "durdurmanizi"})

TELLING: Final = frozenset(
    word for phrase in CORE_PHRASES if len(phrase) == 1 for word in phrase
) - {"cikar"}  # fmt: skip
"""Words that, as phrases of several do, make a text that is no plain refusal worth a person's look."""
