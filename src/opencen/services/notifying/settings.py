"""What the server's operator decides about messages, in a TOML file that no API can change.

console_url = "https://cen.example.net/console"
webhook_networks = ["10.20.0.0/16"]

[smtp]
host = "mail.example.net"
security = "starttls"
username = "opencen"
password = "…"
sender = "OpenCEN <opencen@example.net>"

[command]
argv = ["/usr/local/bin/page-somebody"]
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address as MailAddress
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

Network = IPv4Network | IPv6Network
COMMAND_TIMEOUT_S = 30.0
PORTS = {"starttls": 587, "tls": 465, "none": 25}


class SettingsError(ValueError):
    """The file cannot be used; the sentence says where and why."""


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """The mail server. `security`: `starttls` (required, not tried), `tls` from the first byte, or `none`."""

    host: str
    port: int
    security: str
    sender: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CommandSettings:
    """A program that is told of every alarm of every account; no shell is involved."""

    argv: tuple[str, ...]
    timeout_s: float = COMMAND_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class NotifyingSettings:
    """`webhook_networks`: addresses beyond the public ones to which tenants' webhooks may go."""

    smtp: SmtpSettings | None = None
    command: CommandSettings | None = None
    webhook_networks: tuple[Network, ...] = ()
    console_url: str | None = None


def load(path: Path) -> NotifyingSettings:
    """The settings in a file. Raises SettingsError."""
    try:
        given = tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    try:
        return parse(given)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error


def parse(given: dict[str, Any]) -> NotifyingSettings:
    """The settings that such a file holds. Raises SettingsError."""
    _only(given, "", {"smtp": dict, "command": dict, "webhook_networks": list, "console_url": str})
    console_url = given.get("console_url")
    if console_url is not None and not console_url.startswith(("https://", "http://")):
        raise SettingsError(f"console_url is http://… or https://…, not {console_url!r}")
    return NotifyingSettings(
        smtp=_smtp(given["smtp"]) if "smtp" in given else None,
        command=_command(given["command"]) if "command" in given else None,
        webhook_networks=tuple(map(_network, given.get("webhook_networks", []))),
        console_url=console_url.rstrip("/") if console_url else None,
    )


def _only(given: dict[str, Any], where: str, known: dict[str, type | tuple[type, ...]]) -> None:
    for name, value in given.items():
        if name not in known:
            raise SettingsError(f"{where}{name}: there is no such setting; there are {', '.join(known)}")
        if not isinstance(value, known[name]) or isinstance(value, bool):
            raise SettingsError(f"{where}{name}: {value!r} is of the wrong type")


def _network(text: object) -> Network:
    try:
        return ip_network(str(text))
    except ValueError as error:
        raise SettingsError(f"webhook_networks: {error}") from error


def _smtp(given: dict[str, Any]) -> SmtpSettings:
    known: dict[str, type | tuple[type, ...]] = dict.fromkeys(
        ("host", "security", "sender", "username", "password"), str
    )
    _only(given, "smtp.", known | {"port": int})
    for name in ("host", "sender"):
        if not given.get(name):
            raise SettingsError(f"smtp.{name} is missing")
    security = given.get("security", "starttls")
    if security not in PORTS:
        raise SettingsError(f"smtp.security is one of {', '.join(PORTS)}, not {security!r}")
    if ("username" in given) != ("password" in given):
        raise SettingsError("smtp.username and smtp.password go together")
    if security == "none" and "password" in given:
        raise SettingsError('smtp.password would be sent in clear with security = "none"')
    if not is_mail_address(parseaddr(given["sender"])[1]):
        raise SettingsError(f"smtp.sender is a mail address, not {given['sender']!r}")
    port = given.get("port", PORTS[security])
    if not 0 < port < 65536:
        raise SettingsError(f"smtp.port is 1 to 65535, not {port}")
    return SmtpSettings(given["host"], port, security, given["sender"], given.get("username"), given.get("password"))


def _command(given: dict[str, Any]) -> CommandSettings:
    _only(given, "command.", {"argv": list, "timeout_s": (int, float)})
    argv = given.get("argv", [])
    if not argv or not all(isinstance(part, str) and part and "\0" not in part for part in argv):
        raise SettingsError("command.argv is a program and its arguments, each a text")
    if not Path(argv[0]).is_absolute():
        raise SettingsError(f"command.argv starts with the whole path of a program, not {argv[0]!r}")
    timeout_s = float(given.get("timeout_s", COMMAND_TIMEOUT_S))
    if not 0 < timeout_s <= 300:
        raise SettingsError(f"command.timeout_s is more than 0 and at most 300, not {timeout_s:g}")
    return CommandSettings(tuple(argv), timeout_s)


def is_mail_address(text: str) -> bool:
    """Whether mail can be sent to `text`, which is nothing but an address."""
    if not text.isascii() or len(text) > 254 or any(character.isspace() or ord(character) < 32 for character in text):
        return False
    name, at, domain = text.rpartition("@")
    if not at or not name or ("." not in domain and domain != "localhost"):
        return False
    try:
        parsed = MailAddress(addr_spec=text)
    except (ValueError, IndexError, MessageError):
        return False
    return parsed.addr_spec == text
