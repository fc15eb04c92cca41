"""Proofs: who can show them, and what becomes of their key."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from taskmasterd.processes.members.proofs import KEY_BYTES, ROLES, Proofs, claim_in, key_at
from taskmasterd.system.loop.cmodules import keyed_hash
from taskmasterd.system.procfs import MOST_VARIABLES, listing, variables_of
from tests.support.wait import wait_until

KEY = bytes(range(KEY_BYTES))
SPARE = bytes(KEY_BYTES)
PROOFS = Proofs(KEY, "/s")
needs_proc = pytest.mark.skipif(not listing("/proc/self"), reason="needs /proc")


def said_of(proofs: Proofs, variables: dict[str, str]) -> str:
    """Return what is said of a process with these variables."""
    with subprocess.Popen(["sleep", "300"], env=variables) as process:
        try:
            wait_until(lambda: variables_of(process.pid) != b"")  # during an exec there are none
            return proofs.judged(process.pid)
        finally:
            process.kill()


@needs_proc
def test_the_variables_of_a_slot_prove_that_slot_to_whoever_has_the_key() -> None:
    said = said_of(Proofs(KEY, "/the/same/by/another/path"), PROOFS.variables("web", 3))
    assert Proofs.slot_in(said) == ("web", 3)


@needs_proc
@pytest.mark.parametrize(
    "stolen",
    [
        {"TASKMASTER_MARK": "0" * 32},
        {"TASKMASTER_MARK": PROOFS.proof("web", 4)},
        {"TASKMASTER_MARK": PROOFS.proof("db", 3)},
        {"TASKMASTER_MARK": Proofs(SPARE, "/s").proof("web", 3)},
        {"TASKMASTER_INSTANCE": "4"},
        {"TASKMASTER_INSTANCE": "9" * 5000},
        {"TASKMASTER_PROGRAM": "db"},
        {"TASKMASTER_PROGRAM": "web\nproven 3 web"},
        {"TASKMASTER_MARK": "", "TASKMASTER_PROGRAM": "web\nproven 3 web"},
    ],
)
def test_any_other_proof_is_none(stolen: dict[str, str]) -> None:
    said = said_of(PROOFS, {**PROOFS.variables("web", 3), **stolen})
    assert Proofs.slot_in(said) is None
    assert Proofs.slot_in(said, older=True) is None
    assert "\n" not in said


@needs_proc
@pytest.mark.parametrize("role", ROLES)
def test_a_child_in_a_role_proves_that_role_and_no_slot(role: str) -> None:
    said = said_of(PROOFS, PROOFS.variables("web", 3, role))
    assert said == f"{role} 3 web"
    assert Proofs.slot_in(said, older=True) is None
    without = {name: text for name, text in PROOFS.variables("web", 3, role).items() if name != "TASKMASTER_ROLE"}
    assert said_of(PROOFS, without) == "", "the proof of a role is none of a slot"


@needs_proc
@pytest.mark.parametrize("role", [*ROLES, "proven", "claimed", "x y"])
def test_an_instance_that_names_a_role_is_an_instance_all_the_same(role: str) -> None:
    assert Proofs.slot_in(said_of(PROOFS, {**PROOFS.variables("web", 3), "TASKMASTER_ROLE": role})) == ("web", 3)


@needs_proc
def test_a_claim_without_a_proof_counts_only_where_an_older_version_may_have_made_it() -> None:
    said = said_of(PROOFS, {**PROOFS.variables("web", 3), "TASKMASTER_MARK": ""})
    assert Proofs.slot_in(said) is None
    assert Proofs.slot_in(said, older=True) == ("web", 3)
    other = said_of(Proofs(KEY, "/other"), {**PROOFS.variables("web", 3), "TASKMASTER_MARK": ""})
    assert Proofs.slot_in(other, older=True) is None


@needs_proc
def test_of_variables_without_end_only_the_first_are_read() -> None:
    long = {f"X{number}": "x" * 100_000 for number in range(4)}
    with subprocess.Popen(["sleep", "300"], env={**PROOFS.variables("web", 3), **long}) as process:
        try:
            wait_until(lambda: variables_of(process.pid) != b"")
            assert len(variables_of(process.pid)) == MOST_VARIABLES
            assert Proofs.slot_in(PROOFS.judged(process.pid)) == ("web", 3)
        finally:
            process.kill()


def test_a_claim_is_in_the_variables_whatever_else_is() -> None:
    text = b"\0".join([b"A=1", b"TASKMASTER_PROGRAM=p", b"=", b"TASKMASTER_INSTANCE=0", b"junk", b""])
    claim = claim_in(text)
    assert claim
    assert (claim.program, claim.index, claim.socket, claim.proof) == ("p", 0, "", "")
    assert claim_in(b"TASKMASTER_PROGRAM=p\0TASKMASTER_INSTANCE=-1\0") is None


def test_the_hash_depends_on_key_and_text() -> None:
    hashes = {keyed_hash(key, text) for key in (KEY, SPARE) for text in (b"a", b"b", b"a\0")}
    assert len(hashes) == 6


# -- the key


def test_a_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "x.state")
    assert key_at(path, KEY) == (KEY, "")
    file = tmp_path / "x.state.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key_at(path, SPARE) == (KEY, "")


def test_a_key_that_was_not_written_whole_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "x.state.key"
    file.touch(0o600)
    assert key_at(str(tmp_path / "x.state"), KEY) == (KEY, "")
    assert bytes.fromhex(file.read_text()) == KEY


@pytest.mark.parametrize("kind", ["link", "readable", "fifo", "hard link"])
def test_a_key_that_others_may_know_or_have_planted_is_not_used(tmp_path: Path, kind: str) -> None:
    file, other = tmp_path / "x.state.key", tmp_path / "other"
    other.write_text(SPARE.hex())
    other.chmod(0o644 if kind == "readable" else 0o600)
    if kind == "link":
        file.symlink_to(other)
    elif kind == "fifo":
        os.mkfifo(file, 0o600)
    elif kind == "readable":
        other.rename(file)
    else:
        os.link(other, file)
    key, why = key_at(str(tmp_path / "x.state"), KEY)
    assert key == KEY
    assert why.startswith(f"cannot use {file}: ")


def test_without_a_directory_the_key_lives_as_long_as_the_daemon(tmp_path: Path) -> None:
    assert key_at(None, KEY) == (KEY, "")
    key, why = key_at(str(tmp_path / "none" / "x.state"), KEY)
    assert (key, bool(why)) == (KEY, True)
