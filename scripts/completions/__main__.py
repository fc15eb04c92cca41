"""Writes config/completions/."""

from __future__ import annotations

from scripts.completions import DIRECTORY, FILES

if __name__ == "__main__":
    DIRECTORY.mkdir(exist_ok=True)
    for name, make in FILES.items():
        (DIRECTORY / name).write_text(make())
