"""Why an opt-out cannot be placed: a closed list, each with a Turkish and an English sentence for the sender."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class RewriteDetail(StrEnum):
    """The detail behind the reason OPTOUT_IMPOSSIBLE; one spelling in logs, replies and evidence."""

    SIGNED = "signed"
    ENCRYPTED = "encrypted"
    REPORT = "report"
    FRAGMENT = "fragment"
    TNEF = "tnef"
    NO_TEXT = "no_text"
    MALFORMED_HEADER = "malformed_header"
    MALFORMED_TYPE = "malformed_type"
    MALFORMED_MULTIPART = "malformed_multipart"
    AMBIGUOUS_BOUNDARY = "ambiguous_boundary"
    UNKNOWN_ENCODING = "unknown_encoding"
    MALFORMED_ENCODING = "malformed_encoding"
    UNSUITABLE_CHARSET = "unsuitable_charset"
    HIDDEN_TAIL = "hidden_tail"
    LINE_TOO_LONG = "line_too_long"
    HEADER_TOO_LARGE = "header_too_large"
    TOO_MANY_PARTS = "too_many_parts"
    TOO_MANY_PARAMETERS = "too_many_parameters"
    TOO_MANY_VIEWS = "too_many_views"
    TOO_MANY_PLACEHOLDERS = "too_many_placeholders"
    TOO_DEEP = "too_deep"


_SENTENCES: dict[RewriteDetail, tuple[str, str]] = {
    RewriteDetail.SIGNED: (
        "İleti S/MIME veya OpenPGP ile imzalı; metnine ret bağlantısı eklemek imzayı bozar. İmzasız gönderin.",
        "The message is signed (S/MIME or OpenPGP); adding the opt-out would break the signature. Send it unsigned.",
    ),
    RewriteDetail.ENCRYPTED: (
        "İleti şifreli; metnine ret bağlantısı eklenemez. Şifresiz gönderin.",
        "The message is encrypted, so the opt-out cannot be placed in its text. Send it unencrypted.",
    ),
    RewriteDetail.REPORT: (
        "İleti bir teslim veya okundu raporu; ticari ileti olarak gönderilemez. Sınıfını düzeltin.",
        "The message is a delivery or disposition report and cannot go as commercial. Correct its class.",
    ),
    RewriteDetail.FRAGMENT: (
        "İleti parçalı, dış içerikli veya form verisi türünde; gösterilecek metni yok. Bütün olarak gönderin.",
        "The message is partial, external or form data and holds no text to show. Send it whole.",
    ),
    RewriteDetail.TNEF: (
        "İletinin tek gövdesi winmail.dat (TNEF). Düz metin veya HTML olarak gönderin.",
        "The only body is winmail.dat (TNEF). Send plain text or HTML.",
    ),
    RewriteDetail.NO_TEXT: (
        "İletide ret bağlantısının konabileceği bir düz metin veya HTML gövde yok. Bir metin gövdesi ekleyin.",
        "The message has no plain text or HTML body that could carry the opt-out. Add one.",
    ),
    RewriteDetail.MALFORMED_HEADER: (
        "Başlık alanlarından biri bozuk; alıcının ne göreceği belirsiz. İletiyi üreten yazılımı düzeltin.",
        "A header field is malformed, so what the reader would see is uncertain. Mend the program that made it.",
    ),
    RewriteDetail.MALFORMED_TYPE: (
        "Bir içerik türü alanı bozuk, yinelenmiş veya iki anlamlı. Her bölüme tek ve geçerli bir Content-Type yazın.",
        "A content field is malformed, repeated or ambiguous. Give each part one valid Content-Type.",
    ),
    RewriteDetail.MALFORMED_MULTIPART: (
        "Çok bölümlü gövde bozuk: sınır satırı veya kapanışı eksik. İletiyi üreten yazılımı düzeltin.",
        "The multipart body is broken: a boundary line or its closing is missing. Mend the program that made it.",
    ),
    RewriteDetail.AMBIGUOUS_BOUNDARY: (
        "Sınır satırları birbirine karışıyor; bölümler tek anlamlı ayrılamıyor. Farklı sınır değerleri kullanın.",
        "Boundary lines can be mistaken for each other. Use distinct boundary values.",
    ),
    RewriteDetail.UNKNOWN_ENCODING: (
        "Metin bölümünün aktarım kodlaması bilinmiyor. 7bit, 8bit, quoted-printable veya base64 kullanın.",
        "The text part has an unknown Content-Transfer-Encoding. Use 7bit, 8bit, quoted-printable or base64.",
    ),
    RewriteDetail.MALFORMED_ENCODING: (
        "Metin bölümü, belirttiği kodlamaya uymuyor. İletiyi üreten yazılımı düzeltin.",
        "The text part does not follow the encoding it states. Mend the program that made it.",
    ),
    RewriteDetail.UNSUITABLE_CHARSET: (
        "Metin bölümünün karakter kümesine ret metni güvenle eklenemez. UTF-8 kullanın.",
        "The opt-out cannot be added safely in the text part's charset. Use UTF-8.",
    ),
    RewriteDetail.HIDDEN_TAIL: (
        "HTML metni kapanmamış bir yorum, etiket veya gizli bölüm içeriyor; ret bağlantısı görünmez. HTML'i düzeltin.",
        "The HTML ends in an open comment, tag or hidden element that would hide the opt-out. Mend the HTML.",
    ),
    RewriteDetail.LINE_TOO_LONG: (
        "Ret bağlantısıyla bir satır 998 sekizliyi aşar. Satırları kısaltın.",
        "With the opt-out a line would exceed 998 octets. Use shorter lines.",
    ),
    RewriteDetail.HEADER_TOO_LARGE: (
        "Başlık çok büyük. Başlık alanlarını azaltın.",
        "The header is too large. Use fewer header fields.",
    ),
    RewriteDetail.TOO_MANY_PARTS: (
        "İletide çok fazla bölüm var. Bölümleri azaltın.",
        "The message has too many parts. Use fewer.",
    ),
    RewriteDetail.TOO_MANY_PARAMETERS: (
        "Bir içerik alanında çok fazla parametre var. Parametreleri azaltın.",
        "A content field has too many parameters. Use fewer.",
    ),
    RewriteDetail.TOO_MANY_VIEWS: (
        "İletide çok fazla seçenek metin var. Metin seçeneklerini azaltın.",
        "The message has too many alternative texts. Use fewer.",
    ),
    RewriteDetail.TOO_MANY_PLACEHOLDERS: (
        "Bir metinde ret bağlantısı için çok fazla yer tutucu var. Yer tutucuları azaltın.",
        "A text has too many placeholders for the opt-out link. Use fewer.",
    ),
    RewriteDetail.TOO_DEEP: (
        "Bölümler çok derin iç içe geçmiş. Yapıyı sadeleştirin.",
        "The parts are nested too deeply. Use a simpler structure.",
    ),
}


class RewriteRefusal(NamedTuple):
    """The answer in place of a plan: this message must not go out, because it would go without an opt-out."""

    detail: RewriteDetail

    @property
    def turkish(self) -> str:
        return _SENTENCES[self.detail][0]

    @property
    def english(self) -> str:
        return _SENTENCES[self.detail][1]


class MalformedContent(ValueError):  # noqa: N818 - names what the content is; the contract's word
    """The content cannot be analysed within the limits. ``detail`` says why; the text holds nothing of the content."""

    def __init__(self, detail: RewriteDetail) -> None:
        super().__init__(detail.value)
        self.detail = detail
