"""Make the references of keys: config/reference.yaml, and the list of keys of taskmaster.yaml(5); rows of tables in pages."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Any

from scripts.schema import default_value
from taskmaster_common.config.alerts.keys import ALERT
from taskmaster_common.config.keys import DAEMON, EXTRA, FILES, PROGRAM, Key

WIDTH = 100
"""Longest line of config/reference.yaml, columns."""
MANUAL_WIDTH = 78
"""Longest line of text in a manual page's source, columns."""
BAR = r"\|"
"""How a | is written in a cell of a table."""

# -- what all of them say


def default_text(key: Key) -> str:
    """Return the default as one would write it, in back quotes, or in words where it is not one value for all."""
    return key.otherwise or f"`{as_yaml(default_value(key))}`"


def as_yaml(value: Any) -> str:
    """Return a default as YAML."""
    if isinstance(value, bool):
        return str(value).lower()
    return {"": '""'}.get(str(value), str(value))


# -- config/reference.yaml

EXAMPLE_HEAD = """\
# yaml-language-server: $schema=taskmaster.schema.json
#
# Every key once; a value that is not the default has the default in its comment. Only programs: and one cmd are
# required. Keys that name an account or a control group are commented out, so that everybody can load this file: remove the # to use them.
#
# Durations: 5, 0.5, 5s, 500ms, 1m30s. Sizes: 50MB (decimal), 1GiB (binary), bytes. Relative paths start at this
# file's directory. ${NAME} and ${NAME:-default} come from the daemon's environment at its start;
# ${TASKMASTER_PROGRAM}, ${TASKMASTER_INSTANCE} and ${CONFIG_DIR} are always there; $${ is a literal ${.

# The daemon itself; all optional.
taskmasterd:
"""
EXAMPLE_MIDDLE = """
# More files with programs:, groups:, alerts:, templates: and defaults:, for instance [conf.d/*.yaml].
include: []

# Groups: programs, patterns such as worker-* and other groups. A group is a TARGET of every command, and depends_on may
# name one. Programs and groups share their names.
groups:
  backend: [database]

# Any program key but depends_on, essential and extends, for all programs of this file and of included ones.
defaults:
  description: a program of the reference

# Names and keys, all of them allowed, that programs and other templates take over with extends.
templates:
  slow:
    stoptime: 60

# x-anything is ignored: a place for YAML anchors.
x-common-env: &common-env
  LANG: C

programs:
  database:
    cmd: sleep 86400

  # A name has 1 to 100 letters, digits or _ - . @ +
  example:
"""
EXAMPLE_ALERTS = """
# Rules: which events are reported, and to whom. A rule has exactly one of cmd, mail, http and syslog.
alerts:
  by-mail:
    mail: {to: ops@example.org, sendmail: /usr/sbin/sendmail}
  by-http:
    http: {url: "https://chat.example.org/hook", format: slack}
  by-syslog:
    events: ["*"]
    syslog: {to: "udp:127.0.0.1:514", facility: local0}
  by-command:
"""
OTHER_DESTINATIONS = ("mail", "http", "syslog")


def example() -> str:
    """Return config/reference.yaml."""
    daemon = "\n".join(_entry(key, "  ") for key in DAEMON)
    program = "\n".join(_entry(key, "    ") for key in (*PROGRAM, *EXTRA))
    alert = "\n".join(_entry(key, "    ") for key in ALERT if key.name not in OTHER_DESTINATIONS)
    return f"{EXAMPLE_HEAD}{daemon}{EXAMPLE_MIDDLE}{program}{EXAMPLE_ALERTS}{alert}"


def _entry(key: Key, indent: str) -> str:
    """Return a key with its text above it; one that names an account is commented out."""
    otherwise = key.otherwise.replace(FILES, "see taskmasterd(8)")
    default = otherwise or (default_text(key) if key.example else "")
    said = key.text() + (f" Default: {default}." if default and default != "required" else "")
    comment = textwrap.fill(said.replace("`", ""), WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
    written = key.example or as_yaml(default_value(key))
    mark = "# " if key.kind in ("account", "control group") else ""
    first, *lines = written.split("\n")
    value = f"{indent}{mark}{key.name}: {first}".rstrip()
    return "\n".join((comment, value, *(f"{indent}  {line}" for line in lines))) + "\n"


# -- tables of pages


def with_rows(page: str, head: str, rows: Sequence[Sequence[str]]) -> str:
    """Return the page whose table below the line `head` has these rows, each a sequence of cells."""
    rule = "|" + "---|" * (head.count("|") - 1)
    before, _, after = page.partition(f"{head}\n{rule}\n")
    rest = after[after.index("\n\n") + 1 :]
    lines = "".join(f"| {' | '.join(cell.replace('|', BAR) for cell in row)} |\n" for row in rows)
    return f"{before}{head}\n{rule}\n{lines}{rest}"


# -- man/taskmaster.yaml.5


def manual(present: str) -> str:
    """Return the manual page with its two lists of keys."""
    present = _with_entries(present, ".SS Programs\n", ".SS Alerts\n", (*PROGRAM, *EXTRA))
    present = _with_entries(present, ".SS Alerts\nUnder\n.BR alerts: ,\nin each rule.\n", ".SS The daemon\n", ALERT)
    return _with_entries(present, ".SS The daemon\nUnder\n.BR taskmasterd: .\n", ".SH EXIT STATUS\n", DAEMON)


def _with_entries(page: str, head: str, end: str, keys: tuple[Key, ...]) -> str:
    before, _, after = page.partition(head)
    return before + head + "".join(map(_tagged, keys)) + after[after.index(end) :]


def _tagged(key: Key) -> str:
    if key.otherwise == "required":
        last = f"Required; reload: {key.reload}."
    else:
        last = f"Default: {default_text(key)}; reload: {key.reload}."
    lines = (*_roff(key.text()), *_roff(last.replace(FILES, "see `taskmasterd`(8)")))
    return f".TP\n.B {key.name}\n" + "\n".join(lines) + "\n"


def _roff(text: str) -> list[str]:
    """Return the text as lines of roff: literals bold, each sentence at the beginning of a line. Source: groff(7)."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    bold = re.sub("`([^`]*)`", r"\\fB\1\\fR", escaped)
    sentences = re.split(r"(?<=\.) (?=[A-Z0-9\\])", bold)
    lines = [line for part in sentences for line in textwrap.wrap(part, MANUAL_WIDTH, break_on_hyphens=False)]
    return [f"\\&{line}" if line.startswith(".") else line for line in lines]
