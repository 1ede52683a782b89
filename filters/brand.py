"""A brand: the sender in the registry's terms, to which consent is given."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Brand:
    """What the decision and the rewriting need to know of a brand.

    ``code`` and ``iys_code`` are the registry's numbers; ``mersis`` has 16 digits or is empty for a tradesman, who
    has ``trader_name`` and ``trader_id`` instead (Law 6563, 7/2); ``contact`` is shown in mail.
    ``opt_out_url`` is the public https base of the opt-out pages, without a final slash; ``opt_out_mail_domain`` the
    domain whose mail comes to our intake listener, or empty for no ``mailto:`` refusals.
    """

    code: int
    iys_code: int
    name: str
    title: str = ""
    mersis: str = ""
    trader_name: str = ""
    trader_id: str = ""
    contact: str = ""
    opt_out_url: str = ""
    opt_out_mail_domain: str = ""
    logo_path: str = ""
    is_active: bool = True

    @property
    def has_identity(self) -> bool:
        """Whether MERSİS and title, or name and T.C. number, are known (gate G3)."""
        return bool((self.mersis and self.title) or (self.trader_name and self.trader_id))
