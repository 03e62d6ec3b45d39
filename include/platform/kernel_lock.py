"""A lock between processes that a process cannot take with it when it dies."""

from __future__ import annotations

import fcntl
import os


class KernelLock:
    """A lock for a process and those that it forks, in place of :class:`multiprocessing.Lock`.

    That one is a semaphore in shared memory: whoever is killed while holding it leaves it locked for ever. This one is
    a POSIX record lock on an anonymous file: it belongs to the process that took it, and the kernel gives it back. It
    is no lock between threads of one process.
    """

    def __init__(self) -> None:
        self._file = os.memfd_create("callboard-lock", os.MFD_CLOEXEC)

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:  # noqa: ARG002 - multiprocessing's
        """Take the lock; without ``block`` answers at once whether it could be had. ``timeout`` is not looked at."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX if block else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Give the lock back."""
        fcntl.lockf(self._file, fcntl.LOCK_UN)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()
