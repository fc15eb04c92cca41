"""What daemon and helper say to each other: lines of JSON.

The daemon writes the order, then the messages, and ends its output:

    {"taskmaster_alert": 1, "rule", "kind": "mail|http|syslog", "destination": {...}, "host", "timeout", "pid", "dialogue": bool}
    {"id": "5f3c.page", "at": seconds, "events": [record, ...], "left_out": 0, "lost": 0}

The helper answers for each message, in their order, and stops at one that has to wait:

    {"id", "done": true}
    {"id", "failed": "535 authentication failed", "final": true}          it will never do better
    {"id", "failed": ..., "final": false, "after": 2.0, "certificate": true}    again later; `after` seconds, if the server says so
    {"said": "C: EHLO web1"}                                              for `dialogue`
    {"stop": "run `taskmasterctl upgrade`"}                               it can do nothing at all
"""

from __future__ import annotations

VERSION = 1
"""Of the lines above. A helper of another version delivers nothing."""
OTHER_VERSION = "the installed taskmasterd is another version than the running one: run `taskmasterctl upgrade`"
HIDDEN = "***"
"""Stands for a secret."""
