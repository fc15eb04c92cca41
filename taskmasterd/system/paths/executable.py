"""Explains in words why a file cannot be executed.

Only children use this: one whose exec failed, which has the program's identity and may hang without harm, and the one that
reads the configuration. It opens only regular files, never blocks on them, and reads a bounded part.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

from taskmaster_common.errors import shortened, system_reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HEAD = 4096
LONGEST_SCRIPT_LINE = 256
"""Longest `#!` line that the kernel reads, bytes. Source: BINPRM_BUF_SIZE, execve(2)."""
LONGEST_STRING = 131_072
"""Longest argument or variable with its NUL, bytes. Source: MAX_ARG_STRLEN, execve(2)."""
MOST_INTERPRETERS = 4
"""Longest chain of scripts whose interpreter is a script. Source: execve(2)."""
NO_FORMAT = "exec format error (a script needs a #! line, or use shell: true)"

_MACHINES = {
    2: "SPARC", 3: "i386", 4: "m68k", 8: "MIPS", 20: "PowerPC", 21: "PowerPC64", 22: "s390", 40: "arm", 42: "SuperH",
    43: "SPARC64", 50: "IA-64", 62: "x86_64", 183: "aarch64", 243: "RISC-V", 258: "LoongArch",
}  # fmt: skip
"""Names of machines by e_machine. Source: elf(5)."""
_ALSO_RUNS = {62: (3,), 183: (40,), 21: (20,), 43: (2, 18)}
"""Older machines whose programs a machine may run as well, by e_machine."""
_FOREIGN = (
    (b"MZ", "it is a program for Windows"),
    (b"\xcf\xfa\xed\xfe", "it is a program for macOS"),
    (b"PK\x03\x04", "it is a zip or jar archive; put its interpreter into cmd"),
    (b"\xff\xfe", "it is text in UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "it is text in UTF-16; save it as UTF-8"),
    (b"\xef\xbb\xbf", "it begins with a byte order mark; save it without one"),
)


def exec_text(argv: Sequence[str], environment: Mapping[str, str], path: str, workingdir: str, error: OSError) -> str:
    """Return why executing `path` failed just now: what is wrong with the file, or with its words and variables."""
    if error.errno == errno.E2BIG:
        reason = _too_big(argv, environment)
    else:
        reason = _reason(path, os.path.normpath(os.path.join(workingdir, path)), error)
    return f"cannot execute {shortened(argv[0], 256)}: {reason}"


def _reason(path: str, shown: str, error: OSError) -> str:
    if error.errno == errno.ETXTBSY:
        return "it is open for writing (text file busy)"
    if error.errno == errno.ENOENT:
        return _missing(path) or flaw(path, shown) or f"interpreter of {shown} not found"
    if error.errno == errno.EACCES:
        return _forbidden(path) or flaw(path, shown) or system_reason(error)
    if error.errno == errno.ENOEXEC:
        return flaw(path, shown, refused=True) or NO_FORMAT
    return system_reason(error)


def _missing(path: str) -> str:
    if os.path.exists(path):
        return ""
    if os.path.islink(path):
        return f"it is a link to {shortened(os.readlink(path), 256)}, which does not exist"
    return "no such file or directory"


def _forbidden(path: str) -> str:
    try:
        facts = os.stat(path)
    except PermissionError:
        return f"permission denied (directory {_closed_directory(path)} may not be entered)"
    except OSError:
        return ""
    if stat.S_ISDIR(facts.st_mode):
        return "it is a directory"
    if not stat.S_ISREG(facts.st_mode):
        return "it is not a regular file"
    if facts.st_mode & 0o111 and os.statvfs(path).f_flag & os.ST_NOEXEC:
        return "its file system is mounted noexec"
    return "" if os.access(path, os.X_OK) else "permission denied (is it executable?)"


def _closed_directory(path: str) -> str:
    """Return the topmost directory above `path` that we may not enter."""
    above = os.path.dirname(os.path.abspath(path))
    found = above
    while above != "/":
        if not os.access(above, os.X_OK):
            found = above
        above = os.path.dirname(above)
    return shortened(found, 256)


def _too_big(argv: Sequence[str], environment: Mapping[str, str]) -> str:
    strings = [(f"word {number} of cmd", word) for number, word in enumerate(argv, 1)]
    strings += [(f"variable {shortened(name, 64)}", f"{name}={text}") for name, text in environment.items()]
    sizes = [(len(os.fsencode(text)) + 1, what) for what, text in strings]
    most, what = max(sizes)
    if most > LONGEST_STRING:
        return f"{what} has {most - 1} bytes, the most that the system takes is {LONGEST_STRING - 1}"
    total = sum(size for size, _ in sizes)
    return f"its words and variables have {total} bytes, more than the system takes; {what} alone has {most - 1}"


def flaw(
    path: str,
    shown: str,
    may_read: Callable[[os.stat_result], bool] | None = None,
    *,
    refused: bool = False,
    base: str = "",
    depth: int = 0,
) -> str:
    """Return what keeps the kernel from executing a file, judged by its content, or "".

    `refused`: the kernel has already said that it does not know the format. `may_read` decides whether the content may be read.
    A relative interpreter is looked up in `base`, the working directory.
    """
    try:
        fd = _open_regular(path, may_read)
    except OSError:
        return ""
    if fd < 0:
        return ""
    try:
        head = os.pread(fd, HEAD, 0)
        if head.startswith(b"#!"):
            return _script_flaw(head, shown, may_read, base, depth)
        if head.startswith(b"\x7fELF"):
            return _elf_flaw(fd, head, refused=refused)
    except OSError:
        return ""
    finally:
        os.close(fd)
    return _other_flaw(head) if refused or not _has_other_formats() else ""


def _open_regular(path: str, may_read: Callable[[os.stat_result], bool] | None) -> int:
    """Return a descriptor to read from, -1 if this is not a regular file or we may not read it. Raises OSError.

    It opens for reading exactly the file that it has checked by descriptor, so never a device or FIFO.
    """
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC) if hasattr(os, "O_PATH") else -1
    try:
        facts = os.fstat(handle) if handle >= 0 else os.stat(path)
        if not stat.S_ISREG(facts.st_mode) or (may_read and not may_read(facts)):
            return -1
        by_handle = f"/proc/self/fd/{handle}"
        real = by_handle if handle >= 0 and os.path.exists(by_handle) else path
        return os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    finally:
        if handle >= 0:
            os.close(handle)


def _has_other_formats() -> bool:
    """Return whether this kernel is configured to execute more than scripts and ELF. Source: binfmt_misc."""
    try:
        return bool(set(os.listdir("/proc/sys/fs/binfmt_misc")) - {"register", "status"})
    except OSError:
        return False


def _script_flaw(
    head: bytes, shown: str, may_read: Callable[[os.stat_result], bool] | None, base: str, depth: int
) -> str:
    line, newline, _ = head[:LONGEST_SCRIPT_LINE].partition(b"\n")
    words = line[2:].rstrip(b"\0").replace(b"\t", b" ").strip(b" ").split(b" ", 1)
    text = os.fsdecode(line)
    readable = text if text.isprintable() else ascii(text)
    if line.endswith(b"\r"):
        return f"its first line {readable} ends in a carriage return (Windows line ends); convert it, as dos2unix does"
    if not words[0]:
        return "its #! line names no interpreter"
    if not newline and len(words) == 1 and len(line) == LONGEST_SCRIPT_LINE:
        return f"its #! line is too long, the system takes {LONGEST_SCRIPT_LINE - 1} bytes"
    interpreter = os.fsdecode(words[0])
    file = os.path.join(base, interpreter)
    try:
        facts = os.stat(file)
    except OSError as error:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            return f"its interpreter {interpreter}: {system_reason(error)}"
        full = "" if interpreter.startswith("/") else "; write its full path"
        return f"interpreter of {shown} not found ({readable}){full}"
    if not stat.S_ISREG(facts.st_mode):
        return f"its interpreter {interpreter} is not a regular file"
    if not os.access(file, os.X_OK):
        return f"its interpreter {interpreter} may not be executed"
    inner = flaw(file, interpreter, may_read, base=base, depth=depth + 1) if depth < MOST_INTERPRETERS else ""
    return f"its interpreter {interpreter} cannot be executed: {inner}" if inner else ""


def _elf_flaw(fd: int, head: bytes, *, refused: bool) -> str:
    if len(head) < 52:
        return "it is a damaged ELF file"
    order = "big" if head[5] == 2 else "little"
    kind, machine = _number(head, 16, 2, order), _number(head, 18, 2, order)
    if kind in (1, 4):
        return "it is an object file that was not linked" if kind == 1 else "it is a core dump"
    ours = _own_machine()
    runs = machine in (ours, *_ALSO_RUNS.get(ours, ()))
    if machine != ours and (refused or not (runs or _has_other_formats())):
        return f"it is built for {_machine(machine)}, and this machine is {_machine(ours)}"
    loader = _loader(fd, head, order) if runs else ""
    if loader and not os.path.exists(loader):
        return f"its loader {shortened(loader, 256)} does not exist (it was built for another system or C library)"
    return "it is damaged, or of a kind that this kernel does not execute" if refused else ""


def _machine(number: int) -> str:
    return _MACHINES.get(number, f"machine {number} of elf(5)")


def _own_machine() -> int:
    """Return e_machine of this interpreter."""
    for path in ("/proc/self/exe", sys.executable):
        try:
            with open(path, "rb", buffering=0) as file:
                head = file.read(20)
        except OSError:
            continue
        if head.startswith(b"\x7fELF"):
            return _number(head, 18, 2, "big" if head[5] == 2 else "little")
    return 0


def _loader(fd: int, head: bytes, order: str) -> str:
    """Return the path of PT_INTERP, "" without one. Source: elf(5)."""
    wide = head[4] == 2
    start = _number(head, 32, 8, order) if wide else _number(head, 28, 4, order)
    size, count = (_number(head, at, 2, order) for at in ((54, 56) if wide else (42, 44)))
    if start >= 1 << 40:
        return ""
    table = os.pread(fd, min(size * count, HEAD), start)
    for at in range(0, len(table) - size + 1, size or len(table) + 1):
        if size and _number(table, at, 4, order) == 3:
            offset = _number(table, at + 8, 8, order) if wide else _number(table, at + 4, 4, order)
            return os.fsdecode(os.pread(fd, HEAD, offset).partition(b"\0")[0]) if offset < 1 << 40 else ""
    return ""


def _number(data: bytes, at: int, width: int, order: str) -> int:
    return int.from_bytes(data[at : at + width], order)  # type: ignore[arg-type]


def _other_flaw(head: bytes) -> str:
    if not head:
        return "it is empty"
    for magic, text in _FOREIGN:
        if head.startswith(magic):
            return text
    if head.lstrip().startswith(b"#!"):
        return "something stands before its #!, which has to be the first two bytes of the file"
    return "it is no program that this system knows" if b"\0" in head else NO_FORMAT
