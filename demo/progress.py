"""A progress bar on one line of the terminal; in a file or pipe, a line at every tenth."""

import sys
from typing import TextIO

WIDTH = 32


class Progress:
    """`step()` after each of `total` things."""

    def __init__(self, title: str, total: int, out: TextIO = sys.stdout) -> None:
        self.title, self.total, self.out, self.done = title, total, out, 0

    def step(self) -> None:
        """One more is done."""
        self.done += 1
        tenths, before = self.done * 10 // self.total, (self.done - 1) * 10 // self.total
        last = self.done == self.total
        if self.out.isatty():
            filled = WIDTH * self.done // self.total
            bar = "#" * filled + "." * (WIDTH - filled)
            self.out.write(
                f"\r{self.title:<18} [{bar}] {self.done}/{self.total}" + ("\n" if last else "")
            )
            self.out.flush()
        elif tenths > before:
            self.out.write(f"{self.title:<18} {self.done}/{self.total}\n")
            self.out.flush()
