"""Value to text: seconds, byte sizes, signals; `units` is the way back."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_SIZE_NAMES = (
    (2**40, "TiB"),
    (10**12, "TB"),
    (2**30, "GiB"),
    (10**9, "GB"),
    (2**20, "MiB"),
    (10**6, "MB"),
    (2**10, "KiB"),
    (10**3, "KB"),
)


def format_seconds(seconds: float) -> str:
    """Return a duration in its two largest units, rounded down: `0s`, `59s`, `12m`, `1m30s`, `3d4h`."""
    left = max(0, int(seconds))
    for large, large_name, small, small_name in ((86_400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if left >= large:
            rest = left % large // small
            return f"{left // large}{large_name}" + (f"{rest}{small_name}" if rest else "")
    return f"{left}s"


def after_text(seconds: float) -> str:
    """Return a moment of a short story: `+0.20`, from 100 s on `+1m40s`."""
    return f"+{seconds:.2f}" if seconds < 100 else f"+{format_seconds(seconds)}"


def format_size(size: int) -> str:
    """Return a size exactly, in the largest unit that leaves no rest: `50MB`, `1GiB`, `1234567`."""
    for bytes_each, name in _SIZE_NAMES:
        if size and size % bytes_each == 0:
            return f"{size // bytes_each}{name}"
    return str(size)


def with_real_time(signals: Mapping[str, int]) -> dict[str, int]:
    """Return the signals with all real-time ones, named as by bash's `kill -l`, in the order of their numbers."""
    first, last = signals.get("RTMIN", 0), signals.get("RTMAX", -1)
    middle = (first + last) // 2
    between = {
        f"RTMIN+{number - first}" if number <= middle else f"RTMAX-{last - number}": number
        for number in range(first + 1, last)
    }
    return dict(sorted({**signals, **between}.items(), key=lambda each: each[1]))


def signal_name(number: int, signals: Mapping[str, int]) -> str:
    """Return the first name of the signal, without SIG, or its number as text if it has none."""
    return next((name for name, value in signals.items() if value == number), str(number))
