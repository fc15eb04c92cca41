"""The flags of the verbs that convert configurations; they are the client's."""

from __future__ import annotations

from taskmaster_common.commands.grammar import CLIENT_SIDE, Flag

IMPORTED = ("supervisor", "procfile", "systemd", "circus", "process-compose", "pm2")
"""The kinds of configuration that `import` reads."""
OF_IMPORT = (
    Flag("--from", value="KIND", side=CLIENT_SIDE, choices=IMPORTED),
    Flag("--output", short="-o", value="FILE", side=CLIENT_SIDE),
    *(Flag(f"--{name}", side=CLIENT_SIDE) for name in ("force", "check", "strict")),
    Flag("--workdir", value="DIR", side=CLIENT_SIDE),
    *(Flag(f"--{name}", side=CLIENT_SIDE) for name in ("ordered", "strict-stop", "supervisor-env")),
    Flag("--set", value="NAME=VALUE", side=CLIENT_SIDE, repeated=True),
)
OF_EXPORT = (
    Flag("--output", short="-o", value="DIR", side=CLIENT_SIDE),
    *(Flag(f"--{name}", side=CLIENT_SIDE) for name in ("check", "strict")),
    Flag("--set", value="NAME=VALUE", side=CLIENT_SIDE, repeated=True),
)
