"""A private certificate authority for HTTPS, and the server's certificate from it.

The authority's key never leaves the directory it is made in; clients are given `ca.pem` alone.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CA_DAYS = 3650
_SERVER_DAYS = 825
"""What the strictest clients accept for a certificate of a server."""
_CLOCK_SLACK = timedelta(days=1)
"""Clients whose clocks are behind by less than this are not turned away."""
Key = ec.EllipticCurvePrivateKey


TRUST = (
    ("Terraform, aliyun CLI, Go SDKs", "export SSL_CERT_FILE={ca}"),
    (
        "Python, alibabacloud-… (Tea)",
        'RuntimeOptions(ca="{ca}"), or export SSL_CERT_FILE={ca} and REQUESTS_CA_BUNDLE={ca}',
    ),
    ("Python, aliyun-python-sdk-…", "export ALIBABA_CLOUD_CA_BUNDLE={ca}"),
    ("Node", "export NODE_EXTRA_CA_CERTS={ca}"),
    (
        "Java",
        "keytool -importcert -noprompt -alias opencen -file {ca} -keystore opencen.p12 -storepass changeit; "
        "java -Djavax.net.ssl.trustStore=opencen.p12 -Djavax.net.ssl.trustStorePassword=changeit …",
    ),
    ("curl", "curl --cacert {ca} …"),
    ("opencen", "export SSL_CERT_FILE={ca}"),
    ("Debian, Ubuntu, everything", "cp {ca} /usr/local/share/ca-certificates/opencen.crt && update-ca-certificates"),
)
"""Client, and what makes it trust the authority in the file `{ca}`. """


class TlsError(Exception):
    """A certificate or key that cannot be used."""


@dataclass(frozen=True, slots=True)
class Authority:
    certificate: x509.Certificate
    key: Key


@dataclass(frozen=True, slots=True)
class Files:
    """Where an authority and its server's certificate are kept."""

    directory: Path

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def ca_key(self) -> Path:
        return self.directory / "ca.key"

    @property
    def certificate(self) -> Path:
        return self.directory / "server.pem"

    @property
    def key(self) -> Path:
        return self.directory / "server.key"


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What a server needs to speak HTTPS. Raises TlsError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"cannot use {certificate} with {key}: {error}") from error
    return context


class Reloader:
    """Takes a certificate that was renewed into use, for new connections, without a restart."""

    def __init__(self, context: ssl.SSLContext, certificate: Path, key: Path) -> None:
        self._context = context
        self._files = (certificate, key)
        self._seen = self._stamps()

    def look(self) -> bool:
        """True when other files are in use now. Raises TlsError, once, for some that cannot be: the old ones stay."""
        stamps = self._stamps()
        if stamps == self._seen:
            return False
        self._seen = stamps
        server_context(*self._files)  # a pair that does not fit would leave the context in use without its key
        self._context.load_cert_chain(*self._files)
        return True

    def _stamps(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(path) for path in self._files)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def init(directory: Path, names: Sequence[str]) -> tuple[Files, bool]:
    """Make an authority, unless there is one, and a new certificate for the server with these names and addresses.

    True when the authority is new: clients must be told of it. Raises TlsError.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    files = Files(directory)
    is_new = not files.ca_key.exists()
    now = datetime.now(UTC)
    if is_new:
        authority = _new_authority(now)
        _write(files.ca_key, _private_pem(authority.key), 0o600)
        _write(files.ca, _pem(authority.certificate), 0o644)
    else:
        authority = _read_authority(files)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _issue(authority, key, names, now)
    _write(files.key, _private_pem(key), 0o600)
    _write(files.certificate, _pem(certificate) + _pem(authority.certificate), 0o644)
    return files, is_new


def _read_authority(files: Files) -> Authority:
    try:
        certificate = x509.load_pem_x509_certificate(files.ca.read_bytes())
        key = serialization.load_pem_private_key(files.ca_key.read_bytes(), None)
    except (OSError, ValueError) as error:
        raise TlsError(f"cannot read the authority in {files.directory}: {error}") from error
    if not isinstance(key, Key):
        raise TlsError(f"{files.ca_key} is not a key that `opencen tls init` made")
    return Authority(certificate, key)


def _new_authority(now: datetime) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"OpenCEN private CA {x509.random_serial_number():x}"[:60])]
    )
    builder = (
        _builder(name, name, key.public_key(), now, _CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Authority(builder.sign(key, hashes.SHA256()), key)


def _issue(authority: Authority, key: Key, names: Sequence[str], now: datetime) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    issuer_key = authority.key.public_key()
    builder = (
        _builder(subject, authority.certificate.subject, key.public_key(), now, _SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )
    return builder.sign(authority.key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SLACK)
        .not_valid_after(now + timedelta(days=days))
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError as error:
        raise TlsError(f"{name!r} is neither an address nor a host name in ASCII") from error


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private_pem(key: Key) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption())


def _write(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all."""
    temporary = path.with_suffix(path.suffix + ".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
