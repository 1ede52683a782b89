"""What can go wrong with evidence on disk."""


class EvidenceError(OSError):
    """The evidence cannot be written or read; the text says why, without any content."""


class SigningKeyError(EvidenceError):
    """The signing key is missing, unreadable or not an Ed25519 key."""
