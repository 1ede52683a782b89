"""Every code of the registry's error list (without ViA), with its status and a sentence of ours.

The real sentences change between releases, so nobody should depend on them. Where the sources give two statuses, the
error table is trusted, as the reference says (section 8.6).
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Code(NamedTuple):
    """What is answered under a code."""

    status: int
    message: str


_TABLE: tuple[tuple[int, str, str], ...] = (
    # Form of the request
    (400, "H014", "İstek gövdesi JSON olmalıdır."),
    (400, "H085", "İzin ekleme isteği geçersiz."),
    (400, "H090", "İzne bayi ekleme isteği geçersiz."),
    (400, "H092", "Çoklu izin ekleme isteği geçersiz."),
    (400, "H095", "İşlem isteği geçersiz."),
    (400, "H097", "İzin durumu sorgusu geçersiz."),
    (400, "H098", "Günlük değişim sorgusu geçersiz."),
    (400, "H171", "Bayi erişimi verme isteği geçersiz."),
    (400, "H172", "Bayi erişimi silme isteği geçersiz."),
    (400, "H173", "Bayi erişimi sorgusu geçersiz."),
    (400, "H402", "Yetkili marka sorgusu geçersiz."),
    (400, "H403", "İzin durumu sorgulama isteği geçersiz."),
    (400, "H405", "Marka sorgusu geçersiz."),
    (422, "H118", "Beklenmeyen alan."),
    (400, "H082", "Değer listesi alınamadı."),
    (400, "H241", "Değer listesi getirilemedi."),
    # Missing
    (422, "H110", "status alanı yok."),
    (422, "H111", "type alanı yok."),
    (422, "H112", "consentDate alanı yok."),
    (422, "H113", "source alanı yok."),
    (422, "H114", "recipient alanı yok."),
    (422, "H168", "recipients alanı yok."),
    (422, "H169", "retailerAccess alanı yok."),
    (422, "H170", "recipientType alanı yok."),
    (422, "H093", "Gerekli alan yok."),
    (422, "H197", "Aranacak metin yok."),
    (400, "H266", "Kod değeri istekte yok."),
    (400, "H267", "Kod değeri boş olamaz."),
    # Wrong value
    (422, "H115", "status ONAY ya da RET olmalıdır."),
    (422, "H116", "recipientType BIREYSEL ya da TACIR olmalıdır."),
    (422, "H117", "type ARAMA, MESAJ ya da EPOSTA olmalıdır."),
    (422, "H119", "source hizmet sağlayıcının yazabileceği bir kaynak olmalıdır."),
    (422, "H120", "Geçerli bir e-posta adresi verilmelidir."),
    (422, "H121", "E.164 biçiminde geçerli bir telefon numarası verilmelidir."),
    (422, "H122", "Geçerli bir telefon numarası ya da e-posta adresi verilmelidir."),
    (422, "H160", "Telefon numarası 15 karakterden uzun olamaz."),
    (422, "H166", "Telefon numarası 15 karakterden uzun olamaz."),
    (422, "H450", "type değeri geçersiz."),
    (422, "H459", "Adres bu izin tipine uymuyor."),
    (422, "H464", "Adres bu izin tipine uymuyor."),
    (422, "H478", "recipients bir liste olmalıdır."),
    (422, "H190", "iysCode tam sayı olmalıdır."),
    (422, "H191", "brandCode tam sayı olmalıdır ya da bağlantı zamanında yanıt vermedi."),
    (422, "H404", "Aranacak metin boş olamaz."),
    (400, "H486", "source bu kayıt için kabul edilmiyor."),
    # Dates
    (422, "H155", "HS_2015 kaynağının tarihi yalnızca 2015-05-01 00:00:00 olabilir."),
    (422, "H156", "1 Mayıs 2015'ten önceki tarihler kabul edilmez."),
    (422, "H157", "Böyle bir tarih yok."),
    (422, "H158", "consentDate YYYY-AA-GG SS:DD:ss biçiminde olmalıdır."),
    (422, "H162", "Gelecekteki bir tarih verilemez."),
    (422, "H467", "Üç iş gününden eski izinler kaydedilmez."),
    (422, "H501", "Rapor tarihi YYYY-AA-GG biçiminde olmalıdır."),
    (422, "H502", "Rapor tarihi dün ile yedi gün öncesi arasında olmalıdır."),
    # Lists
    (422, "H091", "Bir istekte en fazla 1000 izin eklenebilir."),
    (422, "H125", "Bir istekte en fazla 1000 izin eklenebilir."),
    (422, "H126", "retailerAccess listesi çok uzun."),
    (422, "H127", "recipients listesi çok uzun."),
    (422, "H163", "retailerAccess listesi boş olamaz."),
    (422, "H164", "recipients listesi boş olamaz."),
    (422, "H193", "Değer listede yineleniyor."),
    (422, "H194", "Aynı izin listede birden çok kez var."),
    # State
    (400, "H174", "Kayıtlı durum zaten bu."),
    (400, "H175", "İlk kayıt RET olamaz."),
    (400, "H178", "Kayıtlı izinden eski tarihli değişiklik yapılamaz."),
    (400, "H401", "Böyle bir izin kayıtlı değil."),
    (400, "H462", "TACIR izni güncellenirken consentDate verilmelidir."),
    (400, "H463", "TACIR izni güncellenirken source verilmelidir."),
    (422, "H408", "HS_KARAR yalnızca RET ile kullanılabilir."),
    (422, "H525", "İzin kotası doldu."),
    # Paging
    (422, "H182", "offset değeri geçersiz."),
    (422, "H183", "limit değeri geçersiz."),
    (422, "H184", "all değeri geçersiz."),
    (422, "H185", "short değeri geçersiz."),
    (422, "H186", "limit en fazla 100 olabilir."),
    (422, "H187", "limit sıfır olamaz."),
    (422, "H506", "source IYS ya da HS olmalıdır."),
    (422, "H507", "limit 1 ile 1000 arasında olmalıdır."),
    # Id of a bulk request
    (422, "H198", "requestId 36 karakterden uzun olamaz."),
    (422, "H199", "requestId yalnızca harflerden oluşamaz."),
    (422, "H400", "requestId yalnızca rakamlardan oluşamaz."),
    # Rights
    (401, "H351", "Jeton yok, geçersiz ya da süresi dolmuş."),
    (403, "H353", "Bu kod kullanıcının yetkileriyle eşleşmiyor."),
    (403, "H180", "Böyle bir bayi yok."),
    (403, "H195", "Marka sunucuda bulunamadı."),
    (403, "H196", "Hizmet sağlayıcı sunucuda bulunamadı."),
    (403, "H520", "Abonelik etkin değil."),
    (403, "H521", "Abonelik kapatılmış."),
    (403, "H524", "Bu hizmet sağlayıcının aboneliği yok."),
    (403, "H586", "Abonelik API kullanımını içermiyor."),
    (404, "H355", "Kullanıcının bu yetkisi yok."),
    (400, "H363", "Bu servis bu hesap türüne açık değil."),
    (400, "H176", "Yalnızca yönetici hesabı kullanabilir."),
    (400, "H245", "iysCode iş ortağı grubunda değil."),
    (400, "H522", "Yalnızca iş ortağı API kullanıcısı sorgulayabilir."),
    (404, "H129", "İş ortağı bulunamadı."),
    (404, "H268", "İş ortağı kullanıcısı bulunamadı."),
    (404, "H031", "Kullanıcı bulunamadı."),
    (404, "H437", "Abonelik bulunamadı."),
    (404, "H001", "Hizmet sağlayıcı bulunamadı."),
    (404, "H018", "Marka bulunamadı."),
    (404, "H058", "Bayi bulunamadı."),
    (400, "H250", "Kullanıcı adı ya da şifre eksik."),
    (400, "H252", "Kimlik bilgileri eksik."),
    (401, "H251", "Kimlik bilgileri geçersiz."),
    # Limits
    (429, "H083", "Saniyelik istek sınırına ulaşıldı."),
    (429, "H084", "Saatlik jeton isteği sınırına ulaşıldı."),
    (429, "H086", "Saatlik izin durumu sorgusu sınırına ulaşıldı."),
    (429, "H089", "Saatlik izin geçmişi sorgusu sınırına ulaşıldı."),
    (429, "H124", "Saniyelik istek sınırına ulaşıldı."),
    (400, "H123", "Servis şu anda meşgul."),
    (503, "H192", "İstek zaman aşımına uğradı."),
    # Server
    *((500, code, "Beklenmeyen bir sunucu hatası oluştu.") for code in (
        "H015", "H060", "H061", "H062", "H100", "H101", "H102", "H103", "H105", "H106", "H107", "H179", "H181",
        "H412", "H470", "H476",
    )),
    # Reconciliation, push
    (422, "H503", "Alıcı tipi geçersiz."),
    (422, "H512", "agreementStatus yalnızca true olabilir."),
    (422, "H530", "Bağlantı kurulamadı."),
    (422, "H531", "Adres https olmalıdır."),
    # Consent flow that the registry runs itself (legacy)
    *((422, code, "Doğrulama süreci isteği geçersiz.") for code in (
        "H452", "H453", "H454", "H455", "H456", "H460", "H465",
    )),
    # Dealers
    (400, "H016", "Bayi isteğinde yanlış ya da eksik alan var."),
    (400, "H017", "Alan çok uzun."),
    (400, "H067", "Verilecek bayi kodu kalmadı."),
    (400, "H201", "Bayi durumu active, passive ya da suspended olmalıdır."),
    *((400, code, f"{name} boş olamaz.") for code, name in (
        ("H214", "title"), ("H215", "name"), ("H216", "tckn"), ("H217", "city"), ("H218", "city.code"),
        ("H219", "city.name"), ("H220", "town"), ("H221", "town.code"), ("H222", "town.name"),
    )),
    (400, "H224", "Telefon numarası geçersiz."),
    (400, "H225", "tckn 11 rakam olmalıdır."),
    (400, "H226", "tckn geçersiz."),
    (400, "H227", "mersis 16 karakter olmalıdır."),
    (400, "H228", "mersis geçersiz."),
    (400, "H229", "Alan yalnızca harf ve rakam içerebilir."),
    (400, "H230", "tckn başka bir bayide kayıtlı."),
    (400, "H231", "mersis başka bir bayide kayıtlı."),
    (400, "H243", "tin geçersiz."),
    (400, "H244", "tin 10 ya da 11 rakam olmalıdır."),
    (400, "H288", "tin boş olamaz."),
    (400, "H253", "Aynı numarayla pasif bir bayi var."),
    # E-mail opt-out links
    (422, "H568", "Adresin bu marka için onayı yok."),
)  # fmt: skip

CODES: dict[str, Code] = {code: Code(status, message) for status, code, message in _TABLE}


class RegistryError(Exception):
    """An answer other than success: ``entries`` go out as ``{"errors": entries}`` with ``status``."""

    def __init__(self, status: int, entries: list[dict[str, Any]]) -> None:
        super().__init__(", ".join(str(each.get("code")) for each in entries))
        self.status = status
        self.entries = entries


_NOTHING = object()


def entry(
    code: str, location: list[str | int] | None = None, value: object = _NOTHING, index: int | None = None
) -> dict[str, Any]:
    """One member of ``errors``."""
    made: dict[str, Any] = {"code": code, "message": CODES[code].message}
    if location is not None:
        made["location"] = location
    if value is not _NOTHING:
        made["value"] = value
    if index is not None:
        made["index"] = index
    return made


def fail(code: str, location: list[str | int] | None = None, value: object = _NOTHING) -> RegistryError:
    """The error to raise for one code."""
    return RegistryError(CODES[code].status, [entry(code, location, value)])


def fail_all(entries: list[dict[str, Any]]) -> RegistryError:
    """The error for several: 422 if one is, else the status of the first."""
    statuses = [CODES[str(each["code"])].status for each in entries]
    return RegistryError(422 if 422 in statuses else statuses[0], entries)
