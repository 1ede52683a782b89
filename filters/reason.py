"""The closed list of whys: one name in replies, metrics, evidence and pages alike (design D5).

Each reason says in Turkish and in English who can mend it and how, and has the SMTP reply that tells it to the client.
Faults of ours are temporary (4xx): the client keeps the message. Sentences and replies never hold an address.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from filters.reply import Reply


class Reason(StrEnum):
    """Why a recipient was permitted, dropped or deferred, or a message refused."""

    # By the decision table (regulation, section 8).
    CONSENT = "CONSENT"
    MERCHANT = "MERCHANT"
    EXEMPT = "EXEMPT"
    EXEMPT_SERVICE = "EXEMPT_SERVICE"
    OUT_OF_SCOPE = "OUT_OF_SCOPE"
    MIXED = "MIXED"
    TAG_MISSING = "TAG_MISSING"
    REFUSED = "REFUSED"
    LOCAL_RET = "LOCAL_RET"
    NO_CONSENT = "NO_CONSENT"
    MERCHANT_UNRECORDED = "MERCHANT_UNRECORDED"
    TYPE_UNDECLARED = "TYPE_UNDECLARED"
    DEALER_NO_ACCESS = "DEALER_NO_ACCESS"
    STALE = "STALE"
    REGISTRY_DOWN = "REGISTRY_DOWN"
    BRAND_UNREGISTERED = "BRAND_UNREGISTERED"
    AUTH_MISSING = "AUTH_MISSING"
    IDENTITY_MISSING = "IDENTITY_MISSING"
    OPTOUT_IMPOSSIBLE = "OPTOUT_IMPOSSIBLE"
    # By the gateway, around the table.
    BRAND_UNKNOWN = "BRAND_UNKNOWN"
    CLASS_NOT_ALLOWED = "CLASS_NOT_ALLOWED"
    TAG_INVALID = "TAG_INVALID"
    ADDRESS_INVALID = "ADDRESS_INVALID"
    CONTENT_MALFORMED = "CONTENT_MALFORMED"
    TOO_LARGE = "TOO_LARGE"
    UTF8_UNSUPPORTED = "UTF8_UNSUPPORTED"
    LOOP = "LOOP"
    LOOKUP_FAILED = "LOOKUP_FAILED"
    EVIDENCE_UNAVAILABLE = "EVIDENCE_UNAVAILABLE"
    OVERLOADED = "OVERLOADED"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    FAULT = "FAULT"
    PARTLY_REFUSED = "PARTLY_REFUSED"
    ALREADY_TAKEN = "ALREADY_TAKEN"
    UPSTREAM_REFUSED = "UPSTREAM_REFUSED"
    UPSTREAM_DEFERRED = "UPSTREAM_DEFERRED"
    UPSTREAM_LOST = "UPSTREAM_LOST"

    @property
    def reply(self) -> Reply:
        """What the client is told where this reason settles a recipient or a message."""
        return _REPLIES[self]

    @property
    def sentence_tr(self) -> str:
        return _MEANINGS[self].turkish

    @property
    def sentence_en(self) -> str:
        return _MEANINGS[self].english


class _Meaning(NamedTuple):
    code: int
    subject_detail: str
    english: str
    turkish: str


_MEANINGS: dict[Reason, _Meaning] = {
    Reason.CONSENT: _Meaning(
        250, "1.5",
        "The recipient has consented and the registry confirms it; nothing to mend.",
        "Alıcının onayı var ve İYS'de kayıtlı; yapılacak bir şey yok.",
    ),
    Reason.MERCHANT: _Meaning(
        250, "1.5",
        "The recipient is a merchant or tradesman who has not refused; nothing to mend.",
        "Alıcı tacir veya esnaf ve ret bildirmemiş; yapılacak bir şey yok.",
    ),
    Reason.EXEMPT: _Meaning(
        250, "1.5",
        "The message is tagged informational, for which no consent is needed; the sender answers for the tag.",
        "İleti bilgilendirme olarak etiketli, onay gerekmez; etiketin doğruluğundan gönderen sorumludur.",
    ),
    Reason.EXEMPT_SERVICE: _Meaning(
        250, "1.5",
        "The message is tagged as service mail about goods already supplied, for which no consent is needed; the "
        "sender answers for the tag.",
        "İleti, alınmış mal veya hizmetin kullanım ve bakımına ilişkin olarak etiketli, onay gerekmez; etiketin "
        "doğruluğundan gönderen sorumludur.",
    ),
    Reason.OUT_OF_SCOPE: _Meaning(
        250, "1.5",
        "The channel or the recipient's country lies outside the Turkish rules, so the message was not filtered.",
        "Kanal veya alıcının ülkesi Türk mevzuatının kapsamı dışında, ileti denetlenmedi.",
    ),
    Reason.MIXED: _Meaning(
        250, "1.5",
        "The message is tagged informational but also promotes; the sender takes the promotion out or tags it "
        "commercial.",
        "Bilgilendirme etiketli ileti tanıtım da içeriyor; gönderen tanıtımı çıkarmalı veya iletiyi ticari olarak "
        "etiketlemeli.",
    ),
    Reason.TAG_MISSING: _Meaning(
        250, "1.5",
        "The message carries no readable class and is treated as commercial; the sender sets X-Izin-Class.",
        "İletinin okunur bir sınıf etiketi yok, ticari sayıldı; gönderen X-Izin-Class alanını eklemeli.",
    ),
    Reason.REFUSED: _Meaning(
        550, "7.1",
        "The recipient has refused; only a new consent of the recipient, recorded in the registry, lifts this. The "
        "sender takes the recipient off its list.",
        "Alıcı ret vermiş; bunu yalnız alıcının İYS'ye kaydedilen yeni onayı kaldırır. Gönderen alıcıyı listesinden "
        "çıkarmalı.",
    ),
    Reason.LOCAL_RET: _Meaning(
        550, "7.1",
        "The recipient has refused through our own opt-out, which counts at once; only a later consent recorded in the "
        "registry lifts it. The sender takes the recipient off its list.",
        "Alıcı ret bağlantımız üzerinden ret vermiş, hemen geçerlidir; bunu yalnız İYS'ye kaydedilen daha sonraki bir "
        "onay kaldırır. Gönderen alıcıyı listesinden çıkarmalı.",
    ),
    Reason.NO_CONSENT: _Meaning(
        550, "7.1",
        "The registry holds no consent of this recipient for this brand and channel; the sender obtains one and "
        "records it in the registry within three business days.",
        "İYS'de alıcının bu marka ve kanal için onayı yok; gönderen onay almalı ve üç iş günü içinde İYS'ye "
        "kaydetmeli.",
    ),
    Reason.MERCHANT_UNRECORDED: _Meaning(
        550, "7.1",
        "The recipient is declared a merchant but is not recorded in the registry; the sender records the "
        "address there as TACIR first.",
        "Alıcı tacir olarak bildirilmiş ama İYS'de kaydı yok; gönderen adresi önce İYS'ye TACIR olarak kaydetmeli.",
    ),
    Reason.TYPE_UNDECLARED: _Meaning(
        550, "7.1",
        "The registry knows this recipient as a merchant only, and the sender did not declare that; the sender sets "
        "X-Izin-Recipient-Type to business if that is so.",
        "İYS alıcıyı yalnız tacir olarak tanıyor, gönderen ise bunu bildirmemiş; durum böyleyse gönderen "
        "X-Izin-Recipient-Type alanına business yazmalı.",
    ),
    Reason.DEALER_NO_ACCESS: _Meaning(
        550, "7.1",
        "The recipient has consented to the brand, but the consent is not known to be open to this dealer; the brand "
        "owner opens it to the dealer in the registry.",
        "Alıcının markaya onayı var, ama onayın bu bayiye açık olduğu bilinmiyor; marka sahibi İYS'de bayiye erişim "
        "vermeli.",
    ),
    Reason.STALE: _Meaning(
        451, "7.1",
        "The consent was last confirmed too long ago; the client tries again later while the operator restores the "
        "synchronisation with the registry.",
        "Onay en son çok önce doğrulanmış; istemci sonra yeniden denemeli, işletmen İYS eşitlemesini düzeltmeli.",
    ),
    Reason.REGISTRY_DOWN: _Meaning(
        451, "7.1",
        "Nothing recent enough is known from the registry; the client tries again later while the operator "
        "restores the synchronisation with the registry.",
        "İYS'den yeterince güncel bilgi yok; istemci sonra yeniden denemeli, işletmen İYS eşitlemesini düzeltmeli.",
    ),
    Reason.BRAND_UNREGISTERED: _Meaning(
        550, "7.1",
        "The brand is not registered or not active in the registry; the sender registers it there, then the operator "
        "enables it.",
        "Marka İYS'ye kayıtlı veya etkin değil; gönderen markayı İYS'ye kaydettirmeli, ardından işletmen "
        "etkinleştirmeli.",
    ),
    Reason.AUTH_MISSING: _Meaning(
        550, "7.1",
        "The brand has not authorised this gateway in the registry; the brand owner grants the authorisation there.",
        "Marka bu ağ geçidini İYS'de yetkilendirmemiş; marka sahibi İYS'de yetki vermeli.",
    ),
    Reason.IDENTITY_MISSING: _Meaning(
        550, "7.1",
        "The sender's identity is not known; the operator sets title and MERSIS number, or name and T.C. number, for "
        "the brand.",
        "Gönderenin kimlik bilgisi eksik; işletmen marka için unvan ve MERSİS numarasını ya da ad soyad ve T.C. kimlik "
        "numarasını girmeli.",
    ),
    Reason.OPTOUT_IMPOSSIBLE: _Meaning(
        550, "7.1",
        "No opt-out can be placed in this message; the sender uses a text or HTML body that can carry one, or puts "
        "the placeholder into it.",
        "İletiye ret imkânı yerleştirilemiyor; gönderen buna uygun bir metin veya HTML gövdesi kullanmalı ya da yer "
        "tutucuyu eklemeli.",
    ),
    Reason.BRAND_UNKNOWN: _Meaning(
        550, "7.1",
        "The message names no brand this client may send for; the sender sets X-Izin-Brand to one of its brands, or "
        "the operator adds the brand to the client.",
        "İleti, istemcinin adına gönderebileceği bir marka belirtmiyor; gönderen X-Izin-Brand alanına markalarından "
        "birini yazmalı ya da işletmen markayı istemciye eklemeli.",
    ),
    Reason.CLASS_NOT_ALLOWED: _Meaning(
        550, "7.1",
        "This client may not send messages of this class; the sender corrects X-Izin-Class or uses another client, "
        "or the operator allows the class.",
        "Bu istemci bu sınıfta ileti gönderemez; gönderen X-Izin-Class alanını düzeltmeli veya başka istemci "
        "kullanmalı ya da işletmen sınıfa izin vermeli.",
    ),
    Reason.TAG_INVALID: _Meaning(
        554, "6.0",
        "A tag field stands in the message more than once and its values disagree; the sender sets each tag once.",
        "Bir etiket alanı iletide birden çok kez ve çelişen değerlerle yer alıyor; gönderen her etiketi bir kez "
        "yazmalı.",
    ),
    Reason.ADDRESS_INVALID: _Meaning(
        501, "1.3",
        "The recipient's address is not acceptable; the sender corrects it.",
        "Alıcı adresi kabul edilebilir değil; gönderen düzeltmeli.",
    ),
    Reason.CONTENT_MALFORMED: _Meaning(
        554, "6.0",
        "The message is malformed and is not passed on; the sender corrects its format.",
        "İletinin biçimi bozuk, iletilmedi; gönderen biçimi düzeltmeli.",
    ),
    Reason.TOO_LARGE: _Meaning(
        552, "3.4",
        "The message is larger than allowed; the sender makes it smaller or the operator raises the limit.",
        "İleti izin verilenden büyük; gönderen küçültmeli ya da işletmen sınırı yükseltmeli.",
    ),
    Reason.UTF8_UNSUPPORTED: _Meaning(
        550, "6.7",
        "The message needs SMTPUTF8, which the next hop does not offer; the sender uses ASCII addresses and headers.",
        "İleti SMTPUTF8 gerektiriyor, sonraki sunucu desteklemiyor; gönderen ASCII adres ve başlık kullanmalı.",
    ),
    Reason.LOOP: _Meaning(
        554, "4.6",
        "The message has passed this gateway before; the operator corrects the routing.",
        "İleti bu ağ geçidinden daha önce geçmiş; işletmen yönlendirmeyi düzeltmeli.",
    ),
    Reason.LOOKUP_FAILED: _Meaning(
        451, "3.0",
        "The consent index could not be asked, or was never loaded; the client tries again later while the operator "
        "restores or loads the index.",
        "İzin dizinine ulaşılamadı veya dizin hiç yüklenmedi; istemci sonra yeniden denemeli, işletmen dizini onarmalı "
        "veya yüklemeli.",
    ),
    Reason.EVIDENCE_UNAVAILABLE: _Meaning(
        451, "3.0",
        "The decision could not be recorded; the client tries again later while the operator restores the "
        "evidence log.",
        "Karar kayda geçirilemedi; istemci sonra yeniden denemeli, işletmen kanıt kaydını onarmalı.",
    ),
    Reason.OVERLOADED: _Meaning(
        451, "3.2",
        "The gateway is at its limit; the client tries again later.",
        "Ağ geçidi sınırında çalışıyor; istemci sonra yeniden denemeli.",
    ),
    Reason.SHUTTING_DOWN: _Meaning(
        421, "3.2",
        "The gateway is shutting down; the client tries again later.",
        "Ağ geçidi kapanıyor; istemci sonra yeniden denemeli.",
    ),
    Reason.FAULT: _Meaning(
        451, "3.0",
        "A temporary fault in the gateway; the client tries again later while the operator reads the log.",
        "Ağ geçidinde geçici arıza; istemci sonra yeniden denemeli, işletmen günlüğe bakmalı.",
    ),
    Reason.PARTLY_REFUSED: _Meaning(
        550, "7.1",
        "Other recipients of this message may not have it, and by the operator's setting it then goes to nobody; the "
        "sender takes them out and sends again.",
        "İletinin başka alıcılarına gönderilemiyor ve işletmenin ayarı gereği bu durumda kimseye gönderilmez; gönderen "
        "o alıcıları çıkarıp yeniden göndermeli.",
    ),
    Reason.ALREADY_TAKEN: _Meaning(
        250, "1.5",
        "An earlier attempt already handed this message over for the recipient; nothing to mend.",
        "İleti bu alıcı için önceki denemede teslim edilmiş; yapılacak bir şey yok.",
    ),
    Reason.UPSTREAM_REFUSED: _Meaning(
        550, "0.0",
        "The next hop refused the message; the sender follows the next hop's words.",
        "Sonraki sunucu iletiyi reddetti; gönderen sunucunun açıklamasına uymalı.",
    ),
    Reason.UPSTREAM_DEFERRED: _Meaning(
        451, "4.0",
        "The next hop cannot take the message now; the client tries again later.",
        "Sonraki sunucu iletiyi şu an alamıyor; istemci sonra yeniden denemeli.",
    ),
    Reason.UPSTREAM_LOST: _Meaning(
        451, "4.2",
        "The connection to the next hop was lost before its answer; the client tries again later.",
        "Sonraki sunucuyla bağlantı yanıttan önce koptu; istemci sonra yeniden denemeli.",
    ),
}  # fmt: skip

_REPLIES: dict[Reason, Reply] = {
    reason: Reply(meaning.code, meaning.subject_detail, f"{reason}: {meaning.english}")
    for reason, meaning in _MEANINGS.items()
}
