"""Sending one message: over HTTP, by mail, to a command. Each raises SendError with a sentence for people."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import signal
import smtplib
import socket
import ssl
import subprocess
import time
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any

import httpx

from opencen import __version__
from opencen.services.notifying.addresses import refusal_of
from opencen.services.notifying.settings import CommandSettings, Network, SmtpSettings

WEBHOOK_TIMEOUT_S = 15.0
_SMTP_TIMEOUT_S = 20.0
_MOST_STDERR = 300
_MOST_ADDRESSES = 4
SIGNATURE_HEADER = "OpenCEN-Signature"
DELIVERY_HEADER = "OpenCEN-Delivery"


class SendError(Exception):
    """It did not arrive, as far as is known."""


def signature(secret: str, at_s: int, body: bytes) -> str:
    """`t=SECONDS,v1=HEX`: HMAC-SHA256 with `secret` over the seconds, a dot, and the body."""
    digest = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


def slack_text(text: str) -> str:
    """`text` as Slack takes it literally: what it has for markup is escaped, so that a name cannot call a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def webhook_body(message: Mapping[str, Any]) -> bytes:
    """JSON: `text` for Slack and those who take the same, the rest for programs."""
    body = {**message, "text": slack_text(str(message["text"]))}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


async def send_webhook(
    url: str, secret: str, delivery_id: int, message: Mapping[str, Any], allowed: Sequence[Network]
) -> None:
    """POST it, signed; any 2xx is an arrival. Redirects are not followed: they would lead past the check."""
    parsed = httpx.URL(url)
    body = webhook_body(message)
    headers = {
        "host": parsed.netloc.decode("ascii"),
        "content-type": "application/json",
        "user-agent": f"opencen/{__version__}",
        DELIVERY_HEADER: str(delivery_id),
        SIGNATURE_HEADER: signature(secret, int(time.time()), body),
    }
    try:
        async with asyncio.timeout(WEBHOOK_TIMEOUT_S):
            addresses = await _addresses_of(parsed, allowed)
            status = await _post(parsed, addresses, headers, body)
    except TimeoutError as error:
        raise SendError(f"no answer within {WEBHOOK_TIMEOUT_S:g} s") from error
    except (httpx.HTTPError, ssl.SSLError) as error:
        raise SendError(f"no answer: {error or type(error).__name__}") from error
    if not 200 <= status < 300:
        raise SendError(f"it answered {status}")


async def _post(url: httpx.URL, addresses: Sequence[str], headers: dict[str, str], body: bytes) -> int:
    """The status of the answer of the first address that can be reached; its body is not read."""
    async with httpx.AsyncClient(trust_env=False, verify=_authorities(), timeout=WEBHOOK_TIMEOUT_S) as client:
        for number, address in enumerate(addresses, 1):
            to, name = url.copy_with(host=address), {"sni_hostname": url.host}
            try:
                async with client.stream("POST", to, content=body, headers=headers, extensions=name) as response:
                    return response.status_code
            except httpx.ConnectError:
                if number == len(addresses):
                    raise
    raise SendError(f"{url.host} has no address")


def _authorities() -> ssl.SSLContext:
    """Those that this machine trusts, or those in the file that SSL_CERT_FILE names."""
    return ssl.create_default_context()


async def _addresses_of(url: httpx.URL, allowed: Sequence[Network]) -> list[str]:
    port = url.port or (443 if url.scheme == "https" else 80)
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SendError(f"{url.host} has no address") from error
    addresses = [str(item[4][0]) for item in found]
    refusal = refusal_of(url.host, addresses, allowed)
    if refusal:
        raise SendError(refusal)
    return list(dict.fromkeys(addresses))[:_MOST_ADDRESSES]


def send_mail(smtp: SmtpSettings, recipients: Sequence[str], delivery_id: int, message: Mapping[str, Any]) -> None:
    """One mail to all recipients. The same message tried again has the same Message-ID."""
    mail = EmailMessage()
    mail["From"] = smtp.sender
    mail["To"] = ", ".join(recipients)
    mail["Subject"] = str(message["subject"]).replace("\r", " ").replace("\n", " ")
    mail["Date"] = formatdate(localtime=True)
    domain = smtp.sender.rpartition("@")[2].rstrip("> ") or "opencen"
    mail["Message-ID"] = f"<opencen-alarm-{delivery_id}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(str(message["text"]) + ("\n\n" + str(message["link"]) if message.get("link") else "") + "\n")
    try:
        with _smtp(smtp) as connection:
            refused = connection.send_message(mail)
    except (smtplib.SMTPException, OSError) as error:
        raise SendError(f"the mail server {smtp.host}: {_said(error)}") from error
    if refused:
        raise SendError(f"the mail server {smtp.host} refused {', '.join(sorted(refused))}")


def _smtp(smtp: SmtpSettings) -> smtplib.SMTP:
    if smtp.security == "tls":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(
            smtp.host, smtp.port, timeout=_SMTP_TIMEOUT_S, context=_authorities()
        )
    else:
        connection = smtplib.SMTP(smtp.host, smtp.port, timeout=_SMTP_TIMEOUT_S)
    try:
        if smtp.security == "starttls":
            connection.starttls(context=_authorities())
        if smtp.username is not None and smtp.password is not None:
            connection.login(smtp.username, smtp.password)
    except BaseException:
        connection.close()
        raise
    return connection


def _said(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        reply = error.smtp_error
        return f"{error.smtp_code} {reply.decode(errors='replace') if isinstance(reply, bytes) else reply}"
    return str(error) or type(error).__name__


def send_command(command: CommandSettings, delivery_id: int, message: Mapping[str, Any]) -> None:
    """Run the operator's program: the message as JSON on its standard input, the main parts in its environment."""
    alarm = message.get("alarm") or {}
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}
    environment |= {
        "OPENCEN_ALARM_DELIVERY": str(delivery_id),
        "OPENCEN_ALARM_EVENT": str(message["event"]),
        "OPENCEN_ALARM_TEXT": str(message["text"]).replace("\0", ""),
        "OPENCEN_ALARM_ID": str(alarm.get("id", "")),
        "OPENCEN_ALARM_KIND": str(alarm.get("kind", "")),
        "OPENCEN_ALARM_SUBJECT": str(alarm.get("subject", "")),
        "OPENCEN_ALARM_ACCOUNT": str(message.get("account_id", "")),
    }
    name = command.argv[0]
    try:
        process = subprocess.Popen(
            command.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise SendError(f"{name} cannot be run: {error.strerror or error}") from error
    try:
        _, stderr = process.communicate(json.dumps(message, ensure_ascii=False).encode(), timeout=command.timeout_s)
    except subprocess.TimeoutExpired as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise SendError(f"{name} did not end within {command.timeout_s:g} s") from error
    if process.returncode != 0:
        said = stderr.decode(errors="replace").strip()[-_MOST_STDERR:]
        raise SendError(f"{name} ended with {process.returncode}" + (f": {said}" if said else ""))
