"""Make the records of the configuration, config/program.py and config/daemon.py, from the table of keys.

They are what the resident daemon loads of the table: types, defaults, reload classes and kinds, without the texts.
"""

from __future__ import annotations

from keyword import iskeyword

from taskmaster_common.config.alerts.keys import ALERT
from taskmaster_common.config.keys import DAEMON, EXTRA, PARTS, PROGRAM, REQUIRED, Key
from taskmaster_common.config.words import LIVE

TYPES = {
    "account": "str",
    "alert command": "Mapping[str, Any]",
    "autorestart": "str",
    "boolean": "bool",
    "boolean or word": "bool | str",
    "choice": "str",
    "cleared": "bool | tuple[str, ...]",
    "command": "tuple[str, ...]",
    "control group": "str",
    "dependencies": "tuple[str, ...]",
    "environment": "Mapping[str, Any]",
    "event log": "str",
    "events": "tuple[str, ...]",
    "exit codes": "tuple[int, ...]",
    "health": "Mapping[str, Any]",
    "history": "Mapping[str, Any]",
    "hook": "tuple[str, ...]",
    "http": "Mapping[str, Any]",
    "limits": "tuple[str, ...]",
    "log prefix": "str",
    "mail": "Mapping[str, Any]",
    "octal": "int",
    "path": "str",
    "input": "str",
    "processors": "tuple[int, ...]",
    "rate": "tuple[int, float]",
    "ready": "Mapping[str, Any]",
    "rlimits": "tuple[str, ...]",
    "recycle": "Mapping[str, Any]",
    "roles": "Mapping[str, Any]",
    "schedule": "Mapping[str, Any]",
    "seconds": "float",
    "signal": "int",
    "size": "int",
    "socket": "str",
    "sockets": "tuple[str, ...]",
    "stream": "str",
    "syslog": "Mapping[str, Any]",
    "targets": "tuple[str, ...]",
    "text": "str",
    "tty": "Mapping[str, Any]",
    "update": "Mapping[str, Any]",
    "variable files": "tuple[str, ...]",
    "variables": "Mapping[str, str | None]",
    "watch": "Mapping[str, Any]",
    "whole": "int",
}
"""The type of each kind's decoded value; a key whose default is None may be None, too."""

MADE = "Made by `python -m scripts.generate` from the table in `keys`; not edited by hand."

PROGRAM_HEAD = f'''"""The records of a program and what the daemon knows of its keys.

{MADE}
Durations are seconds, sizes bytes, signals numbers; None means the daemon's own value.
"""

from __future__ import annotations

from taskmaster_common.config.nested import Nested
from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any
'''
PROGRAM_DOC = '''"""One entry under `programs:`, all values decoded.

    `cmd` is the list of words, or a single element with the text for /bin/sh when `shell` is true. `env` maps names to
    text, to None for a variable to remove, or to the map of a file. `stopasgroup` is true, false or LEADER, `essential` true, false or
    ON_FAILURE. `refusal` is not a key: it says why this program cannot be started at all (an unknown user at the daemon's
    start), "" for one that can. Nor is `socket_options`: it is the part of `sockets` that a reload applies at once.
    """'''
DAEMON_HEAD = f'''"""The record of `taskmasterd:` and what the daemon knows of its keys.

{MADE}
"""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any
'''
DAEMON_DOC = '''"""The `taskmasterd:` entry. Paths are absolute; None means the default of the user who runs the daemon.

    `pidfile` None with a configured socket means the socket's path + ".pid". `roles` maps names to roles, as
    `schema.checks.roles` makes them and `core.access` reads them.
    """'''
ALERT_HEAD = f'''"""The record of an alert rule.

{MADE}
Durations are seconds. None means what `words` has for the rule's destination, of `user` and `group` the daemon's own.
"""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any
'''
ALERT_DOC = (
    '''"""One entry under `alerts:`, all values decoded. One of `cmd`, `mail`, `http` and `syslog` is not empty."""'''
)


def field(key: Key) -> str:
    """Return the line that declares the key in its record."""
    kind = TYPES[key.kind]
    if key.default is REQUIRED:
        return f"    {key.name}: {kind}\n"
    return f"    {name_of(key)}: {kind}{' | None' if key.default is None else ''} = {literal(key)}\n"


def name_of(key: Key) -> str:
    """Return the name of the key's field: `for` is a word of Python's."""
    return f"{key.name}_" if iskeyword(key.name) else key.name


def literal(key: Key) -> str:
    """Return the default as Python source."""
    if isinstance(key.default, str):
        return f'"{key.default}"'
    if isinstance(key.default, tuple) and all(isinstance(each, str) for each in key.default):
        return f"({', '.join(f'{chr(34)}{each}{chr(34)}' for each in key.default)})"
    if key.kind == "octal" and key.default is not None:
        return f"0o{key.default:03o}"
    if isinstance(key.default, dict) and key.default:
        return f"{{{', '.join(f'{chr(34)}{name}{chr(34)}: {value:_}' for name, value in key.default.items())}}}"
    grouped = isinstance(key.default, int) and not isinstance(key.default, bool)
    return f"{key.default:_}" if grouped else repr(key.default)


def table(variable: str, rows: dict[str, str], doc: str) -> str:
    """Return the source of a dictionary of texts."""
    lines = "".join(f'    "{name}": "{value}",\n' for name, value in rows.items())
    return f'{variable} = {{\n{lines}}}\n"""{doc}"""\n'


def program() -> str:
    """Return the source of config/program.py."""
    pieces = [PROGRAM_HEAD]
    for part in PARTS:
        fields = "".join(field(key) for key in PROGRAM if key.part == part.name)
        pieces.append(f'class {part.class_name}(Record):\n    """{part.doc}"""\n\n{fields}')
    required = "".join(field(key) for key in PROGRAM if key.default is REQUIRED)
    own = "".join(field(key) for key in PROGRAM if not key.part and key.default is not REQUIRED)
    held = "".join(f"    {part.name}: {part.class_name} = {part.class_name}()\n" for part in PARTS)
    pieces.append(
        f"class ProgramConfig(Nested):\n    {PROGRAM_DOC}\n\n"
        f'    name: str\n{required}{own}{held}    refusal: str = ""\n    socket_options: tuple[str, ...] = ()\n'
    )
    reloads = {key.name: key.reload for key in PROGRAM} | {"refusal": "restart", "socket_options": "live"}
    kinds = {key.name: key.kind for key in PROGRAM}
    extra = ", ".join(f'"{key.name}"' for key in EXTRA)
    tables = (
        table("KIND", kinds, "How a key's value is written, and so how it is shown."),
        f'PROGRAM_KEYS = (*KIND, {extra})\n"""The keys that a file may use, in the order of the reference."""\n',
        table("RELOAD_CLASS", reloads, "What a reload does when only that key changed."),
    )
    return "\n\n".join(pieces) + "\n\n" + "\n".join(tables)


def daemon() -> str:
    """Return the source of config/daemon.py."""
    record = f"class DaemonConfig(Record):\n    {DAEMON_DOC}\n\n" + "".join(map(field, DAEMON))
    live = ", ".join(f'"{key.name}"' for key in DAEMON if key.reload == LIVE)
    live_keys = (
        f"DAEMON_LIVE_KEYS = frozenset({{{live}}})\n"
        '"""The keys that a reload applies; the others wait for the next start of the daemon."""\n'
    )
    keys = 'DAEMON_KEYS = DaemonConfig.fields_\n"""The keys that a file may use, in the order of the reference."""\n'
    return f"{DAEMON_HEAD}\n\n{record}\n\n{keys}\n{live_keys}"


def alert() -> str:
    """Return the source of config/alerts/rule.py."""
    record = f"class AlertRule(Record):\n    {ALERT_DOC}\n\n    name: str\n" + "".join(map(field, ALERT))
    keys = "".join(f'    "{key.name}",\n' for key in ALERT)
    return (
        f"{ALERT_HEAD}\n\n{record}\n\nALERT_KEYS = (\n{keys})\n"
        '"""The keys that a file may use, in the order of the reference."""\n'
    )
