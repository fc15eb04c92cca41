"""Takes the descriptors of idle logs out of the daemon's table, and keeps the logs open.

For each child the kernel copies the table of descriptors, and closes the copy when the child executes its program: with
16 000 descriptors a start takes 1.8 ms of CPU, with 100 it takes 0.5 ms. A parked descriptor is in a message that nobody has
received yet; it costs a child nothing, and the log stays as it was. It keeps its lock, it stays the same file when somebody
renames it, and its path is not judged again. It returns with the next byte, together with all that were parked with it.

Source: unix(7), SCM_RIGHTS; a queue outlives the socket that sent into it. One message holds 253 descriptors at most.
"""

from __future__ import annotations

import os
import resource

from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.output.log import lots
    from taskmasterd.output.log.lots import Lot
else:
    lots = on_demand("taskmasterd.output.log.lots")

MOST_IN_TABLE = 256
"""Logs that stay in the table at a start."""
MOST_AWAKE, SHARE_AWAKE = 1024, 8
"""Logs that stay in the table when others return to it, and the part of the table, one in SHARE_AWAKE, that they may fill."""
LOT = 64
"""Descriptors that are parked together, and return together."""


class LogDescriptor:
    """An open descriptor: `fd` is -1 once it is closed, `lot` is where it is parked, None while it is in the table."""

    __slots__ = ("_fd", "_parking", "lot", "recent")

    def __init__(self, fd: int, parking: Parking | None) -> None:
        """`parking` None: it stays in the table."""
        self._fd = fd
        self._parking = parking
        self.lot: Lot | None = None
        self.recent = False
        if parking:
            parking.enter(self)

    @property
    def fd(self) -> int:
        """The descriptor, back in the table. Raises OSError (EMFILE, ENFILE): the table is full, it stays parked."""
        self.recent = True
        if self.lot and self._parking:
            self._parking.bring_back(self.lot)
        return self._fd

    def replace(self, fd: int) -> None:
        """Close it and be another one."""
        os.close(self.fd)
        self._fd = fd

    def close(self) -> None:
        """Close it; where the table is full, as soon as its lot returns."""
        try:
            fd, self._fd = self.fd, -1
        except OSError:
            lot, self.lot = self.lot, None
            if self._parking and lot:
                self._parking.abandon(lot)
            return
        if self._parking:
            self._parking.leave(self)
        os.close(fd)

    def park(self, lot: Lot) -> None:
        """Leave the table: `lot` has a duplicate."""
        os.close(self._fd)
        self._fd, self.lot = -1, lot
        self.recent = False

    def put_into(self, message: list[int]) -> None:
        """Add the descriptor to a message."""
        message.append(self._fd)

    def come_back(self, lot: Lot, fd: int) -> None:
        """Be `fd` again, which was in `lot`."""
        if self.lot is not lot:  # closed while it was parked
            os.close(fd)
            return
        self._fd, self.lot = fd, None
        if self._parking:
            self._parking.enter(self)


class Parking:
    """All descriptors of logs, those in the table by the order in which they entered it."""

    def __init__(self) -> None:
        self._in_table: dict[LogDescriptor, None] = {}
        self._lots: set[Lot] = set()
        self._handing_over = False

    def enter(self, descriptor: LogDescriptor) -> None:
        """A descriptor is in the table."""
        self._in_table[descriptor] = None

    def leave(self, descriptor: LogDescriptor) -> None:
        """A descriptor is closed."""
        self._in_table.pop(descriptor, None)

    def make_room(self) -> None:
        """Park a lot of descriptors if there are many; call it before each start."""
        self._handing_over = False
        self._park_some(MOST_IN_TABLE)

    def _park_some(self, most: int) -> None:
        """Park a lot of descriptors if `most` remain.

        A descriptor that was used since the last call is passed over. What cannot be parked stays in the table.
        """
        if self._handing_over:
            return
        if len(self._in_table) < most + LOT or lots.CLOSE_ON_EXEC is None:
            return
        idle: list[LogDescriptor] = []
        for descriptor in [each for each, _ in zip(self._in_table, range(2 * LOT))]:
            if descriptor.recent:
                descriptor.recent = False
                del self._in_table[descriptor]
                self._in_table[descriptor] = None
            elif len(idle) < LOT:
                idle.append(descriptor)
        if len(idle) < LOT:
            return
        try:
            self._lots.add(lots.Lot(idle))
        except OSError:  # the table is full, or as many descriptors are parked as the system allows
            return
        for descriptor in idle:
            self.leave(descriptor)

    def bring_back(self, lot: Lot) -> None:
        """Return a lot to the table, and park another one if there are too many. Raises OSError (EMFILE): there is no room."""
        self._park_some(min(MOST_AWAKE, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // SHARE_AWAKE))
        try:
            lot.bring_back()
        except OSError:
            self._park_some(0)
            lot.bring_back()
        self._lots.discard(lot)

    def bring_all_back(self) -> None:
        """Return all descriptors to the table, as far as there is room: they are about to be handed over.

        Until the next start they keep their numbers.
        """
        self._handing_over = True
        for lot in tuple(self._lots):
            try:
                lot.bring_back()
            except OSError:
                return
            self._lots.discard(lot)

    def abandon(self, lot: Lot) -> None:
        """A member of a lot was closed while it was parked: close all, if it was the last one."""
        if lot.empty:
            lot.drop()
            self._lots.discard(lot)
