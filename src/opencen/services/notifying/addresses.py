"""Where a tenant's webhook may go: public addresses, and what the administrator allows.

The server stands where tenants do not: on the operator's network, beside metadata services and other servers' loopback.
So an address is judged when it is used, and the connection goes to the very address that was judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from opencen.domain.errors import InvalidValueError
from opencen.services.notifying.settings import Network

Address = IPv4Address | IPv6Address
MAX_URL = 2000
_NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
_METADATA = frozenset({ip_address("168.63.129.16"), ip_address("100.100.100.200"), ip_address("fd00:ec2::254")})
"""Clouds' own servers for virtual machines that are not link-local: Azure, Alibaba Cloud, AWS over IPv6."""
_HOW = "an administrator may allow it with webhook_networks in the server's --alarms-config"


def checked_url(url: str) -> str:
    """`url`, when it has the form of a webhook's. Raises InvalidValueError."""
    problem = _problem_of(url)
    if problem:
        raise InvalidValueError(f"a webhook's URL {problem}", field="url", value=url[:MAX_URL])
    return url


def _problem_of(url: str) -> str | None:
    if len(url) > MAX_URL:
        return f"has at most {MAX_URL} characters"
    if not url.isascii() or any(ord(character) <= 32 or ord(character) == 127 for character in url):
        return "has neither blanks nor characters beyond ASCII"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "cannot be read"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "is http://HOST/… or https://HOST/…"
    if parts.username is not None or parts.password is not None:
        return "holds no username or password: it is shown to whoever may see the channel"
    return None


def kind_of(address: Address) -> str | None:
    """What an address is when it is not a public one of a host; None when it is."""
    inner = _embedded(address)
    if inner is not None:
        return kind_of(inner)
    for kind, holds in (
        ("metadata", address in _METADATA),
        ("loopback", address.is_loopback),
        ("link-local", address.is_link_local),
        ("unspecified", address.is_unspecified),
        ("multicast", address.is_multicast),
        ("private", not address.is_global or address.is_reserved),
    ):
        if holds:
            return kind
    return None


def _embedded(address: Address) -> Address | None:
    """The IPv4 address at which an IPv6 one of a transition mechanism arrives."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _NAT64):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def refusal_of(host: str, addresses: Sequence[str], allowed: Sequence[Network]) -> str | None:
    """Why a webhook may not go to `host`, which is at `addresses`; None when it may.

    Each of them must do: which one is taken is the resolver's choice.
    """
    for text in addresses:
        address = ip_address(text.partition("%")[0])
        seen = _embedded(address) or address
        kind = kind_of(address)
        if kind is not None and not any(seen in network for network in allowed if network.version == seen.version):
            return f"{host} leads to a {kind} address, to which webhooks may not go; {_HOW}"
    return None


def literal_refusal(url: str, allowed: Sequence[Network]) -> str | None:
    """`refusal_of` for a URL whose host is an address or this machine's name; what other names mean is asked on use."""
    host = urlsplit(url).hostname or ""
    if host.rstrip(".").lower() == "localhost" or host.rstrip(".").lower().endswith(".localhost"):
        return refusal_of(host, ["127.0.0.1", "::1"], allowed)
    try:
        return refusal_of(host, [str(ip_address(host))], allowed)
    except ValueError:
        return None
