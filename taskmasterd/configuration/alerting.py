"""What `taskmasterd -t` asks the host about alert rules: files with secrets, local servers, commands that others may write."""

from __future__ import annotations

import os
import stat

from taskmaster_common.errors import system_reason
from taskmasterd.alerts.helper.secret import flaw
from taskmasterd.system.loop.sockets import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from taskmaster_common.schema import User

ANSWERS_WITHIN_S = 0.5
UNIX = "unix:"
LOCAL_MAIL = ("localhost", 25)
SENDMAIL = ("/usr/sbin/sendmail", "/usr/lib/sendmail")
"""Where sendmail(8) is, in the order in which mail programs look for it."""


def doubts(destination: Mapping[str, Any], user: User | None) -> tuple[tuple[str, bool], ...]:
    """Return what is wrong with the files of a destination, with the local mail server and a local log daemon: (text, whether it is an error)."""
    uid = os.geteuid() if user is None else user.uid
    files = [*destination.get("header_files", {}).values()]
    files += [destination["url_file"]] if "url_file" in destination else []
    files += [destination["auth"]["password_file"]] if "auth" in destination else []
    return (
        *(doubt for path in files for doubt in _secret(path, uid)),
        *_certificates(destination),
        *_mail(destination),
        *_log_daemon(destination),
    )


def _secret(path: str, uid: int) -> Iterator[tuple[str, bool]]:
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        yield f"{path} does not exist", False
        return
    except OSError as error:
        yield f"cannot look at {path}: {system_reason(error)}", False
        return
    if wrong := flaw(facts, uid):
        yield f"{path}: {wrong}", True


def _certificates(destination: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    if "ca" in destination and not os.path.isfile(destination["ca"]):
        yield f"ca: there is no file {destination['ca']}", False


def _mail(destination: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    if destination.get("sendmail") is True and not any(os.access(path, os.X_OK) for path in SENDMAIL):
        yield f"sendmail: there is neither {' nor '.join(SENDMAIL)}", False
    path = destination.get("sendmail")
    if isinstance(path, str) and not (os.path.isfile(path) and os.access(path, os.X_OK)):
        yield f"sendmail: {path} {'is not executable' if os.path.exists(path) else 'does not exist'}", False
    if (destination.get("host"), destination.get("port")) == LOCAL_MAIL and not _answers():
        yield "no mail server answers at localhost:25", False


def _log_daemon(destination: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yield why a log daemon gets nothing; of a mail `to` is a list, and of what is sent by UDP nobody knows."""
    to = destination.get("to")
    if not isinstance(to, str) or not to.startswith(UNIX):
        return
    path = to.removeprefix(UNIX)
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        probe.setblocking(False)
        probe.connect(path)
    except OSError as error:
        yield (
            f"no log daemon listens at {path}: {system_reason(error)}; what is sent there is lost until one does",
            False,
        )
    finally:
        probe.close()


def _answers() -> bool:
    probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        probe.settimeout(ANSWERS_WITHIN_S)
        probe.connect(("127.0.0.1", LOCAL_MAIL[1]))
    except OSError:
        return False
    finally:
        probe.close()
    return True


def writable_command(word: str, path: str, workingdir: str) -> tuple[tuple[str, bool], ...]:
    """Return who else may write the file of a command that root runs: (text, whether it is an error)."""
    names = (word,) if "/" in word else tuple(f"{directory}/{word}" for directory in path.split(":"))
    found = next((whole for name in names if os.access(whole := os.path.join(workingdir, name), os.X_OK)), "")
    try:
        facts = os.stat(found)
    except OSError:
        return ()
    mode = stat.S_IMODE(facts.st_mode)
    if mode & stat.S_IWOTH:
        return ((f"root runs {found}, which everybody may write (mode {mode:04o}); chmod o-w, or write user:", True),)
    if mode & stat.S_IWGRP and facts.st_gid != 0:
        return ((f"root runs {found}, which the group {facts.st_gid} may write; chmod g-w, or write user:", False),)
    if facts.st_uid != 0:
        return ((f"root runs {found}, which belongs to uid {facts.st_uid}; chown root, or write user:", False),)
    return ()
