"""
Certificates for TLS between nodes: an authority of the cluster, and one certificate for each node.

Every certificate bears the cluster's name, which all members ask for (as go-dqlite's do: the first
DNS name), and the host of its node. Keys are P-256; the files are PEM, and mode 0600.

Needs the extra `tls` (cryptography). Source: RFC 5280; Go's `crypto/x509`, which demands SANs.
"""

import datetime
import ipaddress
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dqlite.client.stores import replace_file
from dqlite.errors import NodeError

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError as cause:
    raise ImportError(
        "certificates are made by the package cryptography: pip install 'dissever[tls]'"
    ) from cause

NAME = "dqlite"
"""Of a cluster that has no other."""

DAYS = 825
"""How long certificates are valid."""

AUTHORITY = "ca"

_DAYS_MAX = 36_500
_SKEW = datetime.timedelta(minutes=5)  # of the clocks of those who check
_DNS_NAME = re.compile(r"(?=.{1,63}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]+)*")


@dataclass(frozen=True, slots=True)
class Material:
    """The two files of one certificate."""

    certfile: Path
    keyfile: Path


@dataclass(frozen=True, slots=True)
class _Signer:
    """An authority, loaded."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def write_material(
    directory: str | os.PathLike[str],
    nodes: Sequence[str],
    *,
    name: str = NAME,
    days: int = DAYS,
    renew: bool = False,
) -> Mapping[str, Material]:
    """
    Write an authority (`ca.crt`, `ca.key`) and a certificate for each node into a directory.

    An authority that is there already signs the new certificates, so nodes can be added later.
    Only `ca.crt` and a node's own two files belong on that node.

    Args:
        directory: Created if missing, with mode 0700.
        nodes: A host name or IP address of each, with or without a port; it names the files.
        name: Of the cluster: a DNS name.
        days: How long they are valid, 1 to 36,500.
        renew: Replace certificates that are there; else they are an error.

    Returns:
        The files of each host.

    Raises:
        NodeError: If a node is no host, or a file is in the way or cannot be used.
        StoreError: If a file cannot be written.
    """
    if not 1 <= days <= _DAYS_MAX:
        raise NodeError(f"expected certificates to be valid for 1 to {_DAYS_MAX} days, got {days}")
    cluster = _general_name(name)
    if not isinstance(cluster, x509.DNSName):
        raise NodeError(f"expected a DNS name for the cluster, got {name}")
    path = Path(directory)
    files = {host: _files(path, host) for host in map(_host, nodes)}
    for each in files.values():
        if each.certfile.exists() and not renew:
            raise NodeError(f"{each.certfile} exists already: renew it, or remove it")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as cause:
        raise NodeError(f"cannot make the directory {path}: {cause.strerror}") from cause
    signer = _authority(_files(path, AUTHORITY), name, days)
    for host, each in files.items():
        _issue(each, signer, [cluster, _general_name(host)], days)
    return files


def _authority(files: Material, name: str, days: int) -> _Signer:
    """Load the authority, or make it."""
    if files.certfile.exists() or files.keyfile.exists():
        return _load(files)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"{name} authority")
    certificate = (
        _builder(subject, subject, key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(files, certificate, key)
    return _Signer(certificate, key)


def _load(files: Material) -> _Signer:
    try:
        certificate = x509.load_pem_x509_certificate(files.certfile.read_bytes())
        key = serialization.load_pem_private_key(files.keyfile.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as cause:
        raise NodeError(
            f"cannot use the authority {files.certfile} with {files.keyfile}: {cause}"
        ) from cause
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise NodeError(f"{files.keyfile}: expected a key on an elliptic curve")
    if key.public_key() != certificate.public_key():
        raise NodeError(f"{files.keyfile} is not the key of {files.certfile}")
    return _Signer(certificate, key)


def _issue(files: Material, signer: _Signer, names: Sequence[x509.GeneralName], days: int) -> None:
    """Write a certificate for a node, as a server and as a client."""
    key = ec.generate_private_key(ec.SECP256R1())
    authority = signer.certificate
    usage = x509.ExtendedKeyUsage(
        [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    )
    certificate = (
        _builder(_name(str(names[-1].value)), authority.subject, key.public_key(), days)
        .add_extension(x509.SubjectAlternativeName(dict.fromkeys(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(usage, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()),
            critical=False,
        )
        .sign(signer.key, hashes.SHA256())
    )
    _write(files, certificate, key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write(files: Material, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    replace_file(files.keyfile, private.decode())
    replace_file(files.certfile, certificate.public_bytes(pem).decode())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _files(directory: Path, name: str) -> Material:
    return Material(directory / f"{name}.crt", directory / f"{name}.key")


def _host(node: str) -> str:
    """The host of `host`, `host:port`, or `[ipv6]:port`."""
    host, colon, port = node.rpartition(":")
    is_bare = not colon or not port.isdecimal() or (":" in host and not host.endswith("]"))
    found = (node if is_bare else host).removeprefix("[").removesuffix("]")
    if found == AUTHORITY:
        raise NodeError(f"a node cannot be called {AUTHORITY}: its files would be the authority's")
    _general_name(found)
    return found


def _general_name(host: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not _DNS_NAME.fullmatch(host):
        raise NodeError(f"expected a host name or an IP address, got {host!r:.100}")
    return x509.DNSName(host)
