"""Sections and whole files of other tools, and what to write here instead. Data, as in `foreign`."""

from __future__ import annotations

PROGRAM_SECTIONS = (
    "program", "process", "processes", "procs", "services", "service", "tasks", "task", "jobs", "job", "apps", "app",
    "applications", "watcher", "watchers", "workers", "worker", "daemons", "commands", "supervisorprocesses",
    "supervisorprograms", "units", "containers",
)  # fmt: skip
"""Sections that hold programs elsewhere."""

SECTION_WORDS = {
    **dict.fromkeys(
        ("supervisord", "taskmaster", "daemon", "circus", "supervisor"), "the section is called taskmasterd here"
    ),
    "unixhttpserver": "the socket is set by socket: in taskmasterd: here",
    "inethttpserver": "there is no network listener; use ssh",
    "httpserver": "there is no network listener; use ssh",
    "supervisorctl": "the client finds the socket by itself",
    "rpcinterface": "there is no network listener; programs speak to the socket",
    "eventlistener": "there are no event listeners here; a rule of alerts: runs a command, and `taskmasterctl subscribe` shows what happens",
    "group": "a group is written groups: {NAME: [PROGRAM, ...]} here",
    **dict.fromkeys(
        ("config", "configuration", "settings", "options", "global", "general", "common", "default"),
        "keys of the daemon belong below taskmasterd:, keys for all programs below defaults:",
    ),
    "version": "there is no version: key here",
    **dict.fromkeys(("server", "http", "api"), "there is no network listener; use ssh"),
    "environment": "write defaults: {env: ...} for variables of all programs",
    "env": "write defaults: {env: ...} for variables of all programs",
    "volumes": "programs see the host's files here",
    "networks": "programs use the host's network here",
    "logging": "logs are set by each program; defaults: {stdout: ...} holds for all",
    "loglevel": "it belongs below taskmasterd:",
    "loglocation": "the event log is set by logfile: in taskmasterd: here",
    **dict.fromkeys(("email", "mail", "notifications"), "it is written alerts: {NAME: {mail: {to: ...}}} here"),
    **dict.fromkeys(("secrets", "configs"), "env: {NAME: {file: PATH}} gives a program what a file holds"),
    "name": "a project has no name here; another file with a socket of its own is another project",
    "includes": "it is called include here",
    "programdefaults": "it is called defaults here",
}
"""Other sections."""

IMPORTED = "`taskmasterctl import FILE` makes one out of it"
KUBERNETES = (
    "this is an object of Kubernetes; what its containers run is in their images, and a configuration here is "
    "programs: {NAME: {cmd: ...}}"
)

FILE_FORMATS = {
    **dict.fromkeys(("[program:", "[supervisor", "[unix_http_server]"), "supervisor's"),
    "[unit]": "systemd's",
    "[service]": "systemd's",
    "[circus]": "Circus'",
    "[watcher:": "Circus'",
    "module.exports": "pm2's",
    "<?xml": "launchd's",
}
"""First words of another tool's file, and the tool."""


def other_format(text: str) -> str:
    """Return the problem of a file written for another tool, or ""."""
    lines = [line.strip().lower() for line in text.splitlines()]
    first = next((line for line in lines if line and line[0] not in "#;"), "")
    whose = next((tool for begin, tool in FILE_FORMATS.items() if first.startswith(begin)), "")
    if not whose and first[:1] == "[" and first[-1:] == "]" and any(" = " in line for line in lines):
        whose = "INI or TOML"
    if not whose:
        return ""
    made = f"; {IMPORTED}" if whose in ("supervisor's", "systemd's", "Circus'") else ""
    return f"this is a file in {whose} format; a configuration here is YAML: programs: {{NAME: {{cmd: ...}}}}{made}"
