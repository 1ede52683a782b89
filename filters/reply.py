"""A reply to the client is one value: code, enhanced code and text, set in one place (RFC 5321 4.2, RFC 3463).

Whether it is temporary is computed from the code, so a ``4xx`` can never be paired with a ``5.x.x``.
"""

from __future__ import annotations

from typing import NamedTuple


class Reply(NamedTuple):
    """``code`` 200..599; ``subject_detail`` the last two numbers of the enhanced code ("7.1"), or "" for none.

    ``text`` is ASCII, one or more lines separated by LF, without an address in it.
    """

    code: int
    subject_detail: str
    text: str

    @property
    def is_success(self) -> bool:
        return self.code < 400

    @property
    def is_temporary(self) -> bool:
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        return self.code >= 500

    @property
    def enhanced(self) -> str:
        """The enhanced status code ("5.7.1"), or "" where the reply has none."""
        return f"{self.code // 100}.{self.subject_detail}" if self.subject_detail else ""

    def render(self) -> bytes:
        """The wire form, CRLF included; a multi-line text gets the hyphen form on all lines but the last."""
        prefix = f"{self.enhanced} " if self.subject_detail else ""
        if "\n" not in self.text:
            return f"{self.code} {prefix}{self.text}\r\n".encode("ascii", "replace")
        lines = self.text.split("\n")
        last = len(lines) - 1
        return "".join(
            f"{self.code}{' ' if number == last else '-'}{prefix}{line}\r\n" for number, line in enumerate(lines)
        ).encode("ascii", "replace")
