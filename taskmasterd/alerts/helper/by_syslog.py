"""Delivers to a log daemon that is named by a host, or speaks TCP: a name's look-up and a connection may take long."""

from __future__ import annotations

import datetime as dt
import socket

from taskmaster_common.text.syslog import MOST_LOCAL, MOST_UDP
from taskmasterd.alerts.helper.message import SIGNALS, Envelope, Notice, Secrets, Undelivered
from taskmasterd.core.words.alerts import headline, missing
from taskmasterd.core.words.syslog import LogSender, network_message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def deliver(message: Notice, order: Envelope, secrets: Secrets) -> None:  # noqa: ARG001 - as all ways have it
    """Deliver one message, an entry of the log for each event. Raises Undelivered."""
    way, _, rest = order.destination["to"].partition(":")
    host, _, port = rest.rpartition(":")
    host = host.strip("[]")
    order.say(f"-- {way} to {host}, port {port}")
    try:
        if way == "tcp":
            with socket.create_connection((host, int(port)), order.timeout) as connection:
                for each in entries(message, order, MOST_LOCAL):
                    connection.sendall(b"%d %s" % (len(each), each))  # RFC 6587, 3.4.1
            return
        family, kind, _proto, _name, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as sender:
            for each in entries(message, order, MOST_UDP):
                sender.sendto(each, address)
    except socket.gaierror as error:
        raise Undelivered(f"{host}: {error.strerror}") from None


def entries(message: Notice, order: Envelope, most: int) -> Iterator[bytes]:
    """Yield the entries of the log that a message makes."""
    place = order.destination
    sender = LogSender(place.get("facility", "daemon"), place.get("tag", "taskmaster"), order.pid, order.host)
    texts = [(event, headline(event, SIGNALS)) for event in message.events]
    texts += [({"name": "", "event": "alert"}, line) for line in missing(message.left_out, message.lost)]
    for event, text in texts:
        when = str(event.get("time") or dt.datetime.now(dt.timezone.utc).isoformat(timespec="milliseconds"))
        yield network_message(sender, event, text, when, most)
