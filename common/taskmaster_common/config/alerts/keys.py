"""The table of the keys of an alert rule, as `config.keys` has those of programs; never loaded by the daemon."""

from __future__ import annotations

from taskmaster_common.config.events import RECOVERED, TROUBLE
from taskmaster_common.config.key import Key
from taskmaster_common.config.words import LIVE

ALERT = (
    Key(
        "events", "events", (TROUBLE, RECOVERED), LIVE,
        "What it is about: words of `events` and patterns such as `*`, and `trouble` (fatal, unhealthy, stuck, crash, oom, blocked, "
        "log-trouble, reload-failed, crashed), `crash` (an unexpected end), `oom`, and `recovered` "
        "(the end of trouble that this rule has reported). `alert-failed` matches nothing.",
        otherwise="[trouble, recovered]", example="[trouble, recovered]",
    ),
    Key(
        "targets", "targets", (), LIVE,
        "Which processes it is about: a list of names, patterns and groups. Events of the daemon itself always count.",
        otherwise="all", example="[example, database]",
    ),
    Key(
        "cmd", "alert command", {}, LIVE,
        "Command that is run for each message, one at a time and in order: words, or a map of `cmd` and `shell`. It gets the events as "
        "lines of JSON on its standard input, and TASKMASTER_EVENT and the like as variables. Exit code 0: done; 75: again later.",
        otherwise="one of `cmd`, `mail`, `http` and `syslog`", example="cat",
    ),
    Key(
        "mail", "mail", {}, LIVE,
        "Mail: a map of `to` (an address or a list), and `from`, `server` (HOST:PORT; localhost:25), `tls` (`starttls`, `on` or `off`), "
        "`auth` (a map of `user` and `password_file`), `ca` (a file of more certificates) and `insecure` (true: `tls: off` to other "
        "hosts), or `sendmail` (true or a path) in place of a server.",
        otherwise="one of `cmd`, `mail`, `http` and `syslog`",
    ),
    Key(
        "http", "http", {}, LIVE,
        "An HTTP request: a map of `url` or `url_file`, and `format` (`json`, `slack` or `text`), `method` (POST), `headers`, "
        "`header_files`, `body` (a text with {text}, {host}, {name}, {event} and {json}) and `ca` (a file of more certificates).",
        otherwise="one of `cmd`, `mail`, `http` and `syslog`",
    ),
    Key(
        "syslog", "syslog", {}, LIVE,
        "Syslog: a map of `to` (`unix:/dev/log`, `udp:HOST:PORT` or `tcp:HOST:PORT`), and `facility` (daemon) and `tag` (taskmaster).",
        otherwise="one of `cmd`, `mail`, `http` and `syslog`",
    ),
    Key(
        "for", "seconds", 0.0, LIVE,
        "Seconds that trouble has to last. What is over before that is not reported, nor is its end.",
    ),
    Key(
        "batch", "seconds", None, LIVE,
        "Seconds, from the first event on, for which events are gathered into one message.",
        otherwise="`30`; `0` for `cmd` and `syslog`", example="30",
    ),
    Key(
        "at_most", "rate", None, LIVE,
        "Most messages in a time, as N/DURATION. What is beyond is counted in the next message; the end of reported trouble waits for it.",
        otherwise="`30/1h`; `600/1h` for `cmd`, no limit for `syslog`", example="30/1h",
    ),
    Key("timeout", "seconds", 30.0, LIVE, "Seconds that one delivery may take.", shortest=0.1, never_0=True),
    Key("give_up", "seconds", 86_400.0, LIVE, "Seconds after which a message that cannot be delivered is dropped."),
    Key(
        "user", "account", None, LIVE,
        "User that runs `cmd`, name or uid.",
        otherwise="the daemon's", example="nobody",
    ),
    Key(
        "group", "account", None, LIVE,
        "Group that runs `cmd`, name or gid.",
        otherwise="the user's", example="nogroup",
    ),
    Key("env", "variables", {}, LIVE, "Variables of `cmd`, besides the daemon's; null removes one."),
    Key(
        "workingdir", "path", "/", LIVE,
        "Directory in which `cmd` runs. If its user may not enter the default one, it runs in `/`.",
        otherwise="the directory of the main file", example="/",
    ),
)  # fmt: skip
"""The keys of an alert rule, in the order of every list and document."""
