"""`sockets` as a socket unit. Pure. Source: systemd.socket(5)."""

from __future__ import annotations

from taskmaster_common.config.sockets import UDP, sockets_of
from taskmasterctl.convert.export.targets.systemd.units import UnitFile, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.config.sockets import Socket
    from taskmasterctl.convert.export.targets.systemd.draft import UnitDraft


def sockets(unit: UnitDraft) -> None:
    """Write the unit of the sockets, which has all of them in their order."""
    found = sockets_of(unit.value("sockets"), unit.source.config.socket_options)
    if not found:
        return
    if unit.template:
        unit.dropped(
            "sockets", "several instances cannot have one socket unit", "write one for each, or let them listen"
        )
        return
    name = unit.context.names[unit.source.name]
    made = UnitFile()
    made.set("Unit", "Description", f"sockets of {name}")
    for each in found:
        _listen(made, each)
    first = found[0]
    made.set("Socket", "FileDescriptorName", first.name)
    made.set("Socket", "Backlog", str(first.backlog))
    if first.is_file:
        made.set("Socket", "SocketMode", f"{first.mode:04o}")
        for setting, account in (("SocketUser", first.user), ("SocketGroup", first.group)):
            if account:
                made.set("Socket", setting, account)
    made.set("Install", "WantedBy", "sockets.target")
    unit.files[f"{name}.socket"] = made
    for setting in ("Requires", "After"):
        unit.set(setting, f"{name}.socket", "Unit")
    if len(found) > 1:
        unit.changed("sockets", f"all of them are called {first.name}, with its backlog, mode and owner")


def _listen(made: UnitFile, socket: Socket) -> None:
    for address in socket.addresses(0):
        kind = "ListenDatagram" if address.startswith(UDP) else "ListenStream"
        bare = address.removeprefix(UDP)
        made.set("Socket", kind, whole(bare.removeprefix(":")))
