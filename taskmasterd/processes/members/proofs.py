"""The variables of a program's processes: three name the slot, and a fourth proves it.

Any process can set the first three. The proof is a keyed hash of program and instance, so only a process that got it from this
daemon, or that may read the variables of such a process, can show it: the user of a program knows the proofs of that user's
programs only. The key lies beside the state file, only the daemon's user may read it, and it outlives the daemon.

Children that are no program's instance, such as probes, hooks and loggers, get a fifth variable with their role, and a proof of that role: it proves
nothing about an instance, so nobody takes such a child, or what it left, for one.
"""

from __future__ import annotations

import os
import stat

from taskmaster_common.errors import SystemFailure, system_reason
from taskmaster_common.records import Record
from taskmasterd.system.lineage import Lineage
from taskmasterd.system.loop.cmodules import keyed_hash
from taskmasterd.system.paths.held import Held
from taskmasterd.system.procfs import variables_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.system.lineage import Slot

KEY_BYTES = 16
KEY_SUFFIX = ".key"
PROGRAM, INSTANCE, SOCKET, PROOF = "TASKMASTER_PROGRAM", "TASKMASTER_INSTANCE", "TASKMASTER_SOCKET", "TASKMASTER_MARK"
ROLE = "TASKMASTER_ROLE"
PROVEN, CLAIMED = "proven", "claimed"
ROLES = PROBE, HOOK, ALERT, LOGGER = "probe", "hook", "alert", "logger"
KEEPER = "keeper"
"""The role of the keeper, which belongs to no slot and needs no proof."""
WATCHER = "watcher"
"""The role of the process that watches files, likewise."""
LONGEST_INDEX = 9
"""Most digits of an instance number."""


class Claim(Record):
    """What the variables of a process claim; `proof` is "" without one, `role` "" in an instance."""

    socket: str
    program: str
    index: int
    proof: str
    role: str = ""


def claim_in(text: bytes) -> Claim | None:
    """Return the claim in the bytes of /proc/pid/environ, or None."""
    if b"TASKMASTER_PROGRAM=" not in text:
        return None
    variables = {name: value for name, _, value in (entry.partition(b"=") for entry in text.split(b"\0"))}
    index = variables.get(INSTANCE.encode(), b"")
    if not index.isdigit() or len(index) > LONGEST_INDEX:
        return None
    names = (SOCKET, PROGRAM, PROOF, ROLE)
    socket, program, proof, role = (os.fsdecode(variables.get(name.encode(), b"")) for name in names)
    return Claim(socket, program, int(index), proof, role)


class Proofs:
    """Makes proofs and judges them. `socket` is the value of TASKMASTER_SOCKET."""

    def __init__(self, key: bytes, socket: str) -> None:
        self.key = key
        self.socket = socket
        self.lineage = Lineage(key)

    def variables(self, program: str, index: int, role: str = "") -> dict[str, str]:
        """Return the variables that each process of a slot gets, or each child in a role for that slot."""
        variables = {
            PROGRAM: program,
            INSTANCE: str(index),
            SOCKET: self.socket,
            PROOF: self.proof(program, index, role),
        }
        return {**variables, ROLE: role} if role else variables

    def proof(self, program: str, index: int, role: str = "") -> str:
        """Return the proof that a process belongs to a slot, or is a child in a role for that slot."""
        text = f"mark\0{program}\0{index}\0{role}" if role else f"mark\0{program}\0{index}"
        return keyed_hash(self.key, text.encode()).hex()

    def judged(self, pid: int) -> str:
        """Return one line that says which slot the variables of a process name, and what they prove; "" for no slot.

        A line that begins with one of ROLES is about a child in that role. May block for ever (`variables_of`).
        """
        claim = claim_in(variables_of(pid))
        if claim is None or "\n" in claim.program:
            return ""
        if claim.proof == self.proof(claim.program, claim.index):
            return f"{PROVEN} {claim.index} {claim.program}"
        if claim.role in ROLES and claim.proof == self.proof(claim.program, claim.index, claim.role):
            return f"{claim.role} {claim.index} {claim.program}"
        # a version without proofs recognized its programs by the path of the socket, which any process can claim
        return f"{CLAIMED} {claim.index} {claim.program}" if not claim.proof and claim.socket == self.socket else ""

    @staticmethod
    def slot_in(text: str, *, older: bool = False) -> Slot | None:
        """Return the slot in a line of `judged`; a claim without proof counts only for a process of an `older` version."""
        kind, _, rest = text.partition(" ")
        if kind != PROVEN and not (older and kind == CLAIMED):
            return None
        index, _, program = rest.partition(" ")
        return program, int(index)


def key_at(state_path: str | None, spare: bytes) -> tuple[bytes, str]:
    """Return the key beside a state file, and the reason why it is not kept there, or "".

    A missing file is created with `spare`. If the file cannot be used, `spare` is the key, and ends with the daemon.
    """
    if state_path is None:
        return spare, ""
    path = state_path + KEY_SUFFIX
    try:
        with Held(path) as held:
            return _key_at(held, spare), ""
    except SystemFailure as failure:
        return spare, str(failure)
    except OSError as error:
        return spare, f"cannot use {path}: {system_reason(error)}"
    except ValueError as error:
        return spare, f"cannot use {path}: {error}"


def _key_at(held: Held, spare: bytes) -> bytes:
    """Return the key in a file, which is created with `spare` if it is missing. Raises OSError, or ValueError with the reason."""
    try:
        fd = held.open(os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return _create(held, spare)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is not a regular file")
        if found.st_uid != os.geteuid():
            raise ValueError(f"it belongs to uid {found.st_uid}")
        if stat.S_IMODE(found.st_mode) & 0o077 or found.st_nlink != 1:
            raise ValueError("others may know it")
        text = os.read(fd, 2 * KEY_BYTES + 1)
    finally:
        os.close(fd)
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) == KEY_BYTES:
        return key
    held.unlink()  # its writer died while writing it
    return _create(held, spare)


def _create(held: Held, key: bytes) -> bytes:
    fd = held.open(os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, key.hex().encode())
    finally:
        os.close(fd)
    return key


def spare_key(handed: str) -> bytes:
    """Return the key that another process handed over as text, or a new one for ""."""
    return bytes.fromhex(handed) if handed else os.urandom(KEY_BYTES)
