"""
Which failures of TLS mean that one side does not trust the other, and no network can be blamed.

A certificate that is refused stays refused, so it is worth no other try. The end of a connection
in the middle of a handshake is not among them: the peer may just have stopped.

Source: RFC 8446, 6.2 (alerts); OpenSSL, `sslerr.h`, whose names Python's `ssl` gives as `reason`.
"""

from dqlite.errors import NotSent, NotTrusted

_REASONS = frozenset(
    {
        # What we found
        "CERTIFICATE_VERIFY_FAILED", "UNSUPPORTED_PROTOCOL", "WRONG_VERSION_NUMBER",
        # What the peer said
        "SSLV3_ALERT_BAD_CERTIFICATE", "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED", "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_HANDSHAKE_FAILURE", "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV1_ALERT_INSUFFICIENT_SECURITY", "TLSV1_ALERT_PROTOCOL_VERSION",
        "TLSV1_ALERT_UNKNOWN_CA", "TLSV1_UNRECOGNIZED_NAME",
    }
)  # fmt: skip


def is_distrust(cause: BaseException | None) -> bool:
    """Whether an error of a connection is one of trust; only those of `ssl` have such a reason."""
    return getattr(cause, "reason", None) in _REASONS


def unreachable(address: str, cause: Exception) -> NotSent | NotTrusted:
    """What it means that there is no connection to an address."""
    if is_distrust(cause):
        return NotTrusted(f"cannot connect to {address}: {cause}")
    return NotSent(f"cannot connect to {address}: {cause!r}")
