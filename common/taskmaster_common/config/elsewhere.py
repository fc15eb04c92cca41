"""Targets of output that are no files: the journal, syslog and commands, as one text each.

A text is a word and `name=value` pairs, `to=` last, since a path may have blanks. The decoder writes what the file says, and
`addressed` adds whose stream it is: by such a text a later daemon goes on with a pipe that leads there.
"""

from __future__ import annotations

from taskmaster_common.config.words import INSTANCE, JOURNAL, LOGGER, SYSLOG, for_instance
from taskmaster_common.errors import shortened
from taskmaster_common.records import Record
from taskmaster_common.text.syslog import MOST_TAG

WORDS = (SYSLOG, JOURNAL)
NAMES = {SYSLOG: ("to", "facility", "tag", "severity"), JOURNAL: ("to", "tag", "severity")}
"""What each of them may say."""
USUAL = {SYSLOG: "unix:/dev/log", JOURNAL: "unix:/run/systemd/journal/stdout"}
SCHEMES = ("unix", "udp", "tcp")
"""Schemes of a log daemon's address."""
MOST_PATH = 107
BETWEEN_WORDS = "\x1f"
"""Between the words of a command."""
AS_STDOUT = -1
MOST_COMMAND = 200
"""Characters of a command that people see."""


class Elsewhere(Record):
    """A target: `kind` is SYSLOG, JOURNAL or LOGGER. `program`, `instance` and `stream` say whose output it is, once it is `addressed`.

    `severity` is that of lines that name none, `errors` that of those on stderr, AS_STDOUT where it is the same. Of a LOGGER, `to` is the
    command: its words, or with `shell` (1) one text.
    """

    kind: str
    to: str = ""
    facility: str = "daemon"
    tag: str = ""
    severity: int = 6
    errors: int = AS_STDOUT
    shell: int = 0
    program: str = ""
    instance: int = 0
    stream: str = ""

    def text(self) -> str:
        """Return it as a text, without what is as usual."""
        given = {name: value for name, value in self.to_data().items() if name not in ("kind", "to")}
        usual = dict(zip(self.fields_, self.defaults_))
        pairs = [f"{name}={value}" for name, value in given.items() if value != usual[name]]
        return " ".join([self.kind, *pairs, *([f"to={self.to}"] if self.to else [])])

    @property
    def address(self) -> str:
        """Where it leads: `unix:PATH`, or `udp:ADDRESS:PORT`, `tcp:ADDRESS:PORT`."""
        return self.to or USUAL[self.kind]

    @property
    def words(self) -> tuple[str, ...]:
        """The words of a LOGGER's command; with `shell` one text."""
        return (self.to,) if self.shell else tuple(self.to.split(BETWEEN_WORDS))

    @property
    def command_text(self) -> str:
        """The command of a LOGGER for people: one line of bounded length."""
        words = (self.to,) if self.shell else map(_quoted, self.words)
        return shortened(" ".join(" ".join(words).replace(INSTANCE, "%i").split()), MOST_COMMAND)


def _quoted(word: str) -> str:
    """Return a word as it is written, in quotes where it needs them."""
    return word if word and not any(each.isspace() or each in "'\"" for each in word) else f"'{word}'"


def elsewhere_of(text: str) -> Elsewhere:
    """Return the target of a text that `Elsewhere.text` has written."""
    words, _, to = text.partition(" to=") if " to=" in text else (text, "", "")
    kind, *pairs = words.split(" ")
    values: dict[str, object] = {name: value for name, _, value in (pair.partition("=") for pair in pairs)}
    values.update(
        {name: int(str(values[name])) for name in ("severity", "errors", "shell", "instance") if name in values}
    )
    return Elsewhere(kind, to).replace(**values)


def addressed(text: str, program: str, index: int, stream: str) -> str:
    """Return the target of one stream of a slot; the journal's is one for both streams of one severity, a command for both."""
    target = elsewhere_of(text)
    if target.kind == LOGGER:
        return for_instance(text, index)
    severity = target.severity if stream != "stderr" or target.errors == AS_STDOUT else target.errors
    target = target.replace(tag=target.tag or program[:MOST_TAG], severity=severity, errors=AS_STDOUT)
    if target.kind == SYSLOG:
        target = target.replace(program=program, instance=index, stream=stream)
    return target.text()


def address_problem(kind: str, to: str) -> str:
    """Return why an address cannot be used, or ""."""
    scheme, _, rest = to.partition(":")
    if scheme == "unix" and rest.startswith("/"):
        long = len(rest.encode("utf-8", "surrogateescape")) > MOST_PATH
        return f"the path of a socket has at most {MOST_PATH} bytes" if long else ""
    if kind == JOURNAL:
        return "write unix: and the path of the journal's stream socket"
    if scheme in ("udp", "tcp") and udp_address(rest):
        return ""
    if scheme in ("udp", "tcp") and (instead := _instead_of_name(rest)):
        return f"the daemon looks up no names, which could block it; write {scheme}:{instead}"
    return "write unix:/PATH, or udp:ADDRESS:PORT or tcp:ADDRESS:PORT with a numeric address"


def _instead_of_name(text: str) -> str:
    """Return what to write instead of `loghost:514`; "" unless the text is a host name and a port."""
    host, _, port = text.rpartition(":")
    if (
        not udp_address(f"127.0.0.1:{port}")
        or not host.isascii()
        or not host.replace("-", "").replace(".", "").isalnum()
    ):
        return ""
    if host.replace(".", "").isdecimal():
        return ""
    if host.lower() == "localhost":
        return f"127.0.0.1:{port}"
    return f"ADDRESS:{port} with what `getent hosts {host}` prints"


def udp_address(text: str) -> tuple[str, int] | None:
    """Return the numeric address and the port of `127.0.0.1:514` or `[::1]:514`, None for anything else."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65_536):
        return None
    if host.startswith("[") and host.endswith("]"):
        inside = host[1:-1]
        return (
            (inside, int(port)) if inside.count(":") >= 2 and set(inside) <= set("0123456789abcdefABCDEF:.") else None
        )
    parts = host.split(".")
    numeric = len(parts) == 4 and all(
        part.isascii() and part.isdecimal() and len(part) <= 3 and int(part) < 256 for part in parts
    )
    return (host, int(port)) if numeric else None


def shown(text: str) -> str:
    """Return a target of output for people, as it is written: `| s6-log .`, `syslog`, `{syslog: {facility: local3, severity: 5}}`."""
    target = elsewhere_of(text)
    if target.kind == LOGGER:
        return f"{LOGGER} {target.command_text}"
    values = target.to_data()
    given = {name: _scalar(values[name]) for name in NAMES[target.kind] if name in values}
    if target.errors != AS_STDOUT:
        given["severity"] = f"{{stdout: {target.severity}, stderr: {target.errors}}}"
    parts = ", ".join(f"{name}: {value}" for name, value in given.items())
    return f"{{{target.kind}: {{{parts}}}}}" if given else target.kind


def _scalar(value: object) -> str:
    """Return a value as YAML has it."""
    text = str(value)
    return text if text.isalnum() else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


EVENTS_TAG = "taskmasterd"
"""The tag of the event log where none is written."""


def where(text: str, usual: str = "") -> str:
    """Return where a target is read: "the journal: journalctl -t web"; `usual` is the tag of one without a tag."""
    target = elsewhere_of(text)
    tag = target.tag or usual
    if target.kind == LOGGER:
        return f"its logger: {target.command_text}"
    return f"the journal: journalctl -t {tag}" if target.kind == JOURNAL else f"syslog at {target.address}, as {tag}"
