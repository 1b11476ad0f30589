"""Which authority a gateway trusts: the one at the top of the server's chain, told apart by its public key.

The server hands its authority out to anybody at AUTHORITY_PATH; who has the pin from elsewhere (a join token) knows
whether it is the right one, and from then on trusts that authority alone, for the name that it calls.
"""

from __future__ import annotations

import base64
import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from opencen.tls import TlsError

AUTHORITY_PATH: Final = "/authority.pem"
_ANSWER_TIMEOUT_S: Final = 10.0
_PEM_MAX_BYTES: Final = 1 << 16


class WrongServerError(Exception):
    """The server is not the one that the pin stands for. Nothing was said to it."""


@dataclass(frozen=True, slots=True)
class ServerAuthority:
    """A certificate (PEM) and its pin: the SHA-256 of its public key, URL-safe base64 without padding."""

    pem: str
    pin: str


def authority_of(certificate: x509.Certificate) -> ServerAuthority:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    digest = hashlib.sha256(certificate.public_key().public_bytes(serialization.Encoding.DER, form)).digest()
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return ServerAuthority(pem, base64.urlsafe_b64encode(digest).rstrip(b"=").decode())


def authority_of_chain(chain_file: Path) -> ServerAuthority:
    """Who vouches for a server with this chain: its root, from the file or from this machine's trust store.

    A public authority's intermediate certificates change with every renewal, its root does not; a chain whose root is
    nowhere is pinned at its top. Raises TlsError.
    """
    try:
        chain = x509.load_pem_x509_certificates(chain_file.read_bytes())
    except (OSError, ValueError) as error:
        raise TlsError(f"cannot read {chain_file}: {error}") from error
    top = chain[0]
    for certificate in [*chain[1:], *_roots()]:
        if top.issuer == top.subject:
            break
        if _has_issued(certificate, top):
            top = certificate
    return authority_of(top)


def _has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    if issuer.subject != certificate.issuer:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _roots() -> list[x509.Certificate]:
    found = []
    for der in ssl.create_default_context().get_ca_certs(binary_form=True):
        try:
            found.append(x509.load_der_x509_certificate(der))
        except ValueError:  # a store may hold certificates that are no certificates to a strict reader
            continue
    return found


def shown_by(server: str) -> ServerAuthority:
    """The authority that the server at an https:// address shows, not to be believed without a pin.

    What is asked tells the server nothing. Raises WrongServerError, and httpx.TransportError when nobody answers.
    """
    with httpx.Client(base_url=server, verify=False, timeout=_ANSWER_TIMEOUT_S, trust_env=False) as client:  # noqa: S501  # nosec B501
        answer = client.get(AUTHORITY_PATH)
    try:
        if answer.status_code != httpx.codes.OK or len(answer.content) > _PEM_MAX_BYTES:
            raise ValueError
        return authority_of(x509.load_pem_x509_certificate(answer.content))
    except ValueError as error:
        raise WrongServerError(
            f"{server} does not say who vouches for it (it answered {answer.status_code}): "
            "is it an OpenCEN server that serves HTTPS itself?"
        ) from error


def fetch(server: str, pin: str) -> ServerAuthority:
    """That authority, when it is the one that the pin stands for. Raises as `shown_by` does."""
    found = shown_by(server)
    if found.pin != pin:
        raise WrongServerError(
            f"{server} is not the server that made this token: its authority has the pin {found.pin}, the token says "
            f"{pin}. Nothing was sent to it"
        )
    return found


def trusting(authority_file: Path) -> ssl.SSLContext:
    """Trusts the certificates of this file and no others, for the name that is called. Raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(authority_file)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"cannot use {authority_file}: {error}") from error
    return context
