"""Whether anything of a daemon that has left a state file may still be alive. What is not certain counts as alive.

A daemon that was killed leaves programs, and what is known of them is in its state file alone. So a file may go only when no
process is one of those in it, shares a session or group with one, or shows a proof by the file's key. A state of another pid
namespace tells nothing about processes here; the caller leaves it alone. Only the launcher uses this.
"""

from __future__ import annotations

import os

from taskmaster_common.jsontext import read_json
from taskmasterd.processes.members.proofs import KEY_BYTES, Proofs
from taskmasterd.system.child_reads import ask_in_child
from taskmasterd.system.procfs import each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any


def may_live(content: bytes, key: bytes, socket: str) -> bool:
    """Return whether a process may be of the daemon that wrote this state; `key` is the text of its key file."""
    try:
        known = set(_pids_in(content))
        proofs = Proofs(_key_in(key), socket)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        return True
    pids: list[int] = []
    for one in each():
        if not known.isdisjoint((one.pid, one.group, one.session)):
            return True
        pids.append(one.pid)
    return not pids or _somebody_proves(pids, proofs)


def _somebody_proves(pids: list[int], proofs: Proofs) -> bool:
    """Return whether one of these processes shows a proof, or keeps us from looking."""
    hung: list[int] = []

    def note(child: int) -> None:
        hung.append(child)
        os.waitpid(child, 0)

    try:
        return bool(ask_in_child(pids, proofs.judged, note)) or bool(hung)
    except OSError:
        return True


def _key_in(text: bytes) -> bytes:
    """Raises ValueError if it is no key."""
    key = bytes.fromhex(text.decode("ascii"))
    if len(key) != KEY_BYTES:
        raise ValueError("not a key")
    return key


def _pids_in(content: bytes) -> Iterator[int]:
    """Yield the pids of the daemon, of its instances, of what these have left and of hooks, sessions and groups among them.

    Raises ValueError, TypeError, KeyError and the like for a state that makes no sense, or whose daemon died while it spawned
    an instance, whose pid is then unknown.
    """
    first, *lines = content.split(b"\n")[:-1]
    yield _number(read_json(first.decode("ascii"))["pid"])
    slots: dict[tuple[str, int], Mapping[str, Any]] = {}  # the last line of a slot counts, as in `rows`
    spawning: set[tuple[str, int]] = set()
    for text in lines:
        for kind, value in read_json(text.decode("ascii")).items():
            if kind == "slot":
                slot = (value["program"], value["index"])
                slots[slot] = value
                spawning.discard(slot)
            elif kind == "gone":
                slots.pop(tuple(value), None)
            elif kind == "spawning":
                spawning.add((value[0], value[1]))
            elif kind == "facts":
                yield from _pids_of_facts(value)
    if spawning:
        raise ValueError("an instance was about to be spawned")
    for value in slots.values():
        yield from _pids_of_slot(value)


def _pids_of_slot(slot: Mapping[str, Any]) -> Iterator[int]:
    hook = slot.get("hook")
    if "copy" in slot:
        instance = slot["copy"]
        yield _number(instance["pid"])
        yield from map(_number, instance.get("sessions", ()))
        for key in ("left", "told"):
            yield from (_number(pid) for pid, _ in instance.get(key, ()))
    if hook:
        yield _number(hook["pid"])


def _pids_of_facts(facts: Mapping[str, Any]) -> Iterator[int]:
    for key in ("ignored", "freed"):
        yield from map(_number, facts.get(key, ()))
    yield from (_number(pid) for pid, _ in facts.get("left", ()))
    if facts.get("occupied"):
        raise ValueError("processes of an earlier daemon may be alive")


def _number(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is no pid")
    return value
