"""Delivers by mail: SMTP with verified TLS, or sendmail(8)."""

from __future__ import annotations

import base64
import os
import smtplib
import ssl
import subprocess
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

from taskmasterd.alerts.helper.message import Envelope, Notice, Secrets, Undelivered
from taskmasterd.alerts.helper.protocol import HIDDEN
from taskmasterd.alerts.helper.secret import read_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

SENDMAIL = ("/usr/sbin/sendmail", "/usr/lib/sendmail")
TRY_AGAIN = 75
"""Exit code after which a later try may do better. Source: sysexits.h (EX_TEMPFAIL)."""
FINAL = (64, 65, 67, 68, 69, 77)
"""Exit codes after which no try will do better: usage, data, no user, no host, unavailable, no permission."""
LONGEST_PLAIN = 900
"""Longest line that is sent as it is, characters."""


def mail_of(message: Notice, order: Envelope) -> EmailMessage:
    """Return the mail. What is in its headers has no line feed, whatever happened."""
    found = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    to, sender = order.destination["to"], order.destination.get("from") or f"taskmaster@{order.domain}"
    found["From"], found["To"] = sender, ", ".join(to)
    found["Subject"] = message.subject(order)
    found["Date"] = formatdate(message.at, localtime=True)
    found["Message-ID"] = f"<{message.id}@{order.domain}>"
    found["Auto-Submitted"] = "auto-generated"
    found["X-Taskmaster-Id"] = message.id
    text = message.text(order)
    plain = text.isascii() and max(map(len, text.split("\n"))) <= LONGEST_PLAIN
    found.set_content(text, charset="utf-8", cte="7bit" if plain else "quoted-printable")
    return found


def deliver(message: Notice, order: Envelope, secrets: Secrets) -> None:
    """Deliver one message. Raises Undelivered."""
    mail = mail_of(message, order)
    if "sendmail" in order.destination:
        _by_sendmail(mail, order)
        return
    auth: Mapping[str, str] = order.destination.get("auth", {})
    password = read_secret(auth["password_file"]) if auth else ""
    plain = f"\0{auth.get('user', '')}\0{password}"
    secrets.add(password, *(base64.b64encode(text.encode()).decode() for text in (password, plain) if password))
    try:
        _by_smtp(mail, order, auth.get("user", ""), password)
    except smtplib.SMTPNotSupportedError as error:
        raise Undelivered(_one_line(str(error)), final=True) from None
    except smtplib.SMTPRecipientsRefused as error:
        code, text = next(iter(error.recipients.values()))
        final = all(each // 100 == 5 for each, _text in error.recipients.values())
        raise Undelivered(f"{code} {_decoded(text)}", final=final) from None
    except smtplib.SMTPResponseException as error:
        theirs = isinstance(error.smtp_error, bytes)  # a text is the library's, about what is no reply
        said = f"{error.smtp_code} {_decoded(error.smtp_error)}"
        raise Undelivered(said, final=theirs and error.smtp_code // 100 == 5) from None
    except ssl.SSLCertVerificationError as error:
        raise Undelivered(f"its certificate is not trusted: {error.verify_message}", certificate=True) from None
    except smtplib.SMTPException as error:
        raise Undelivered(_one_line(str(error))) from None


def _decoded(text: bytes | str) -> str:
    return _one_line(text.decode("utf-8", "replace") if isinstance(text, bytes) else text)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _by_smtp(mail: EmailMessage, order: Envelope, user: str, password: str) -> None:
    place = order.destination
    context = _context(place) if place["tls"] != "off" else None
    with _client(place, order, context) as client:
        if place["tls"] == "starttls":
            client.ehlo_or_helo_if_needed()
            if not client.has_extn("starttls"):
                raise Undelivered("the server has no STARTTLS, and nothing is sent in clear", final=True)
            client.starttls(context=context)
        if user:
            client.login(user, password)
        client.sendmail(mail["From"], list(place["to"]), mail.as_bytes())


def _context(place: Mapping[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if "ca" in place:
        try:
            context.load_verify_locations(place["ca"])
        except (OSError, ssl.SSLError) as error:
            raise Undelivered(f"cannot use {place['ca']}: {error}") from None
    return context


def _client(place: Mapping[str, Any], order: Envelope, context: ssl.SSLContext | None) -> smtplib.SMTP:
    where: Any = {
        "host": place["host"],
        "port": place["port"],
        "local_hostname": order.domain,
        "timeout": order.timeout,
    }
    if place["tls"] == "on":
        implicit = type("Implicit", (Spoken, smtplib.SMTP_SSL), {"say": staticmethod(order.say)})
        secured: smtplib.SMTP = implicit(**where, context=context)
        return secured
    clear = type("Clear", (Spoken, smtplib.SMTP), {"say": staticmethod(order.say)})
    client: smtplib.SMTP = clear(**where)
    return client


class Spoken:
    """Tells what is said, for `alert test`; of a login only that it is one."""

    say: Callable[[str], None]
    hushed = False

    def putcmd(self, cmd: str, args: str = "") -> None:
        """Send a command."""
        words = f"{cmd} {args}".strip()
        self.say(f"C: {HIDDEN if self.hushed else words}")
        super().putcmd(cmd, args)  # type: ignore[misc]

    def getreply(self) -> tuple[int, bytes]:
        """Read a reply."""
        code, text = super().getreply()  # type: ignore[misc]
        for line in text.decode("utf-8", "replace").split("\n"):
            self.say(f"S: {code} {line}")
        return code, text

    def login(self, user: str, password: str, **more: Any) -> tuple[int, bytes]:
        """Log in."""
        self.say(f"-- login as {user}")
        self.hushed = True
        try:
            result: tuple[int, bytes] = super().login(user, password, **more)  # type: ignore[misc]
        finally:
            self.hushed = False
        return result

    def starttls(self, **more: Any) -> tuple[int, bytes]:
        """Begin TLS."""
        result: tuple[int, bytes] = super().starttls(**more)  # type: ignore[misc]
        self.say("-- TLS")
        return result


def _by_sendmail(mail: EmailMessage, order: Envelope) -> None:
    place = order.destination["sendmail"]
    path = (
        place if isinstance(place, str) else next((each for each in SENDMAIL if os.access(each, os.X_OK)), SENDMAIL[0])
    )
    sender = ["-f", order.destination["from"]] if "from" in order.destination else []
    words = [path, "-i", *sender, "--", *order.destination["to"]]
    order.say(f"-- {' '.join(words)}")
    try:
        done = subprocess.run(  # noqa: S603 - the words are checked addresses
            words,
            input=mail.as_bytes(policy=mail.policy.clone(linesep="\n")),
            capture_output=True,
            timeout=order.timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Undelivered(f"{path} did not end within {order.timeout:g}s") from None
    except OSError as error:
        raise Undelivered(f"cannot execute {path}: {error.strerror}") from None
    if done.returncode:
        said = _decoded(done.stderr or done.stdout)[-100:]
        how = f"exit {done.returncode}" if done.returncode > 0 else f"killed by signal {-done.returncode}"
        raise Undelivered(f"{path}: {how}{f': {said}' if said else ''}", final=done.returncode in FINAL)
