"""Runs Python code on Linux as if on another system: without names that are missing there, and with its files.

    python -m tests.systems win32 -c 'import zespan_serverless'
    python -m tests.systems darwin -m pytest tests/jobs

This is not the other system: it shows where the code uses what does not exist there. `.github/workflows/ci.yml` runs
tests on the real ones. Child processes are on Linux again.
"""

from __future__ import annotations

import builtins
import errno
import faulthandler
import importlib
import importlib.util
import io
import os
import platform
import runpy
import select
import signal
import socket
import stat
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path, PosixPath
from typing import Any

# They decide for a system when they are imported, and would then need its own modules.
FIRST = (
    *("asyncio", "concurrent.futures.thread", "ctypes", "getpass", "http.server", "importlib.metadata", "json"),
    *("logging.handlers", "mimetypes", "multiprocessing.connection", "multiprocessing.popen_fork"),
    *("multiprocessing.popen_spawn_posix", "multiprocessing.resource_tracker", "multiprocessing.synchronize"),
    *("pathlib", "queue", "selectors", "shutil", "sqlite3", "ssl", "subprocess", "tempfile", "unittest.mock"),
    *("urllib.request", "uuid", "webbrowser", "zoneinfo"),
)
FIRST_IF_INSTALLED = ("anyio", "httpx", "openai", "trio", "uvicorn", "uvloop")
_ON_BOTH = ["sched_getaffinity", "pipe2", "memfd_create", "eventfd", "pidfd_open", "posix_fadvise", "splice"]
_MISSING: dict[str, dict[str, list[str]]] = {
    "win32": {
        "os": [
            *_ON_BOTH,
            *("fork", "forkpty", "register_at_fork", "posix_spawn", "posix_spawnp", "wait", "wait3", "wait4", "waitid"),
            *(
                "getuid",
                "geteuid",
                "getgid",
                "getegid",
                "getgroups",
                "setuid",
                "setgid",
                "getpgid",
                "getpgrp",
                "setpgid",
            ),
            *(
                "killpg",
                "setsid",
                "getsid",
                "nice",
                "getpriority",
                "uname",
                "sysconf",
                "confstr",
                "getloadavg",
                "mkfifo",
            ),
            *("pread", "pwrite", "preadv", "pwritev", "readv", "writev", "sendfile", "lockf", "fdatasync", "sync"),
            *("chown", "fchown", "lchown", "fchmod", "chroot", "openpty", "ttyname", "statvfs", "fstatvfs", "WNOHANG"),
            *("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "O_NOCTTY", "O_SYNC", "O_DSYNC", "F_LOCK"),
        ],
        "signal": [
            *("SIGKILL", "SIGSTOP", "SIGCONT", "SIGTSTP", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGUSR1", "SIGUSR2"),
            *("SIGCHLD", "SIGHUP", "SIGQUIT", "SIGPIPE", "SIGBUS", "SIGTRAP", "SIGSYS", "SIGWINCH", "SIGIO", "SIGXCPU"),
            *("SIG_BLOCK", "SIG_UNBLOCK", "SIG_SETMASK", "ITIMER_REAL", "setitimer", "getitimer", "alarm", "pause"),
            *(
                "pthread_sigmask",
                "pthread_kill",
                "sigwait",
                "sigwaitinfo",
                "sigtimedwait",
                "sigpending",
                "siginterrupt",
            ),
        ],
        "time": ["clock_gettime", "clock_gettime_ns", "clock_getres", "pthread_getcpuclockid", "tzset"],
        "socket": [
            *("SO_REUSEPORT", "SO_PASSCRED", "SCM_RIGHTS", "SCM_CREDENTIALS", "MSG_DONTWAIT", "MSG_NOSIGNAL"),
            *("SOCK_CLOEXEC", "SOCK_NONBLOCK", "CMSG_SPACE", "CMSG_LEN"),
        ],
        "select": ["poll", "epoll"],
        "faulthandler": ["register", "unregister"],
        "modules": ["fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"],
    },
    "darwin": {
        "os": _ON_BOTH,
        "signal": ["sigtimedwait", "sigwaitinfo", "SIGRTMIN", "SIGRTMAX", "SIGPWR", "SIGPOLL"],
        "time": ["CLOCK_BOOTTIME", "pthread_getcpuclockid"],
        "socket": ["SO_PASSCRED", "SCM_CREDENTIALS", "MSG_NOSIGNAL", "SOCK_CLOEXEC", "SOCK_NONBLOCK"],
        "select": ["epoll"],
        "faulthandler": [],
        "modules": [],
    },
}


def become(system: str) -> None:
    """Take away what `system` (win32 or darwin) lacks. Modules of the package must not be imported yet."""
    for name in (*FIRST, *filter(importlib.util.find_spec, FIRST_IF_INSTALLED)):
        importlib.import_module(name)
    tempfile.gettempdir()  # keeps Linux's: on Windows it would look for C:\temp, and take the current folder
    sysconfig.get_config_vars()
    platform.platform()
    platform.machine()
    _forbid_proc()
    for module in (os, signal, sys.modules["_signal"], time, socket, select, faulthandler):
        for name in _MISSING[system][module.__name__.removeprefix("_")]:
            if hasattr(module, name):
                delattr(module, name)
    for name in _MISSING[system]["modules"]:
        sys.modules[name] = None  # type: ignore[assignment]
    if system == "win32":
        for module in [module for name, module in sys.modules.items() if name.split(".")[0] == "pathlib"]:
            module.WindowsPath = PosixPath  # type: ignore[attr-defined] # the files are still on Linux
        _behave_as_windows()
        io._WindowsConsoleIO = type("_WindowsConsoleIO", (), {})  # type: ignore[attr-defined] # pytest asks for it
        os.name = "nt"
    sys.platform = system


def _forbid_proc() -> None:
    """Hide /proc, which only Linux has."""

    def hidden(function: Callable[..., Any]) -> Callable[..., Any]:
        def replacement(path: Any, *args: Any, **options: Any) -> Any:
            if str(path).startswith("/proc"):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            return function(path, *args, **options)

        return replacement

    builtins.open = hidden(builtins.open)
    os.listdir, os.readlink = hidden(os.listdir), hidden(os.readlink)


def _behave_as_windows() -> None:
    """Files that `os.open` opened translate line ends, sockets are no files, open files cannot be removed or moved."""
    os.O_BINARY = 0x8000  # type: ignore[attr-defined]
    texts: set[int] = set()
    real_open, real_write, real_close, real_fstat = os.open, os.write, os.close, os.fstat

    def check_name(path: Any) -> None:
        name = Path(os.fsdecode(path)).name if isinstance(path, (str, bytes, os.PathLike)) else ""
        if set(name) & set('<>:"|?*\\'):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)

    def open_(path: Any, flags: int, *args: Any, **options: Any) -> int:
        check_name(path)
        if Path(os.fsdecode(path)).is_dir():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        descriptor = real_open(path, flags & ~0x8000, *args, **options)
        (texts.discard if flags & 0x8000 else texts.add)(descriptor)
        return descriptor

    def write(descriptor: int, data: Any) -> int:
        check_file(descriptor)
        if descriptor not in texts:
            return real_write(descriptor, data)
        real_write(descriptor, bytes(data).replace(b"\n", b"\r\n"))
        return len(bytes(data))

    def check_file(descriptor: int) -> None:
        if stat.S_ISSOCK(real_fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def of_files(function: Callable[..., Any]) -> Callable[..., Any]:
        def replacement(descriptor: int, *args: Any, **options: Any) -> Any:
            check_file(descriptor)
            return function(descriptor, *args, **options)

        return replacement

    def close(descriptor: int) -> None:
        check_file(descriptor)
        texts.discard(descriptor)
        real_close(descriptor)

    def of_closed(function: Callable[..., Any], *, replaces: bool = True) -> Callable[..., Any]:
        def replacement(path: Any, *args: Any, **options: Any) -> Any:
            for name in (path, *args[:1]):
                if isinstance(name, (str, bytes, os.PathLike)) and _is_open(name):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
            if not replaces and Path(os.fsdecode(args[0])).exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), args[0])
            return function(path, *args, **options)

        return replacement

    os.open, os.write, os.close = open_, write, close  # type: ignore[assignment]
    os.read, os.dup, os.fstat = of_files(os.read), of_files(os.dup), of_files(real_fstat)
    os.unlink, os.remove = of_closed(os.unlink), of_closed(os.remove)
    os.replace = of_closed(os.replace)
    os.rename = of_closed(os.rename, replaces=False)


_listdir, _readlink = os.listdir, os.readlink


def _is_open(path: Any) -> bool:
    """Whether this process has the file open."""
    wanted = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 (links are not followed)
    for descriptor in _listdir("/proc/self/fd"):
        try:
            if _readlink(f"/proc/self/fd/{descriptor}") == wanted:
                return True
        except OSError:
            continue  # closed by now
    return False


def main() -> None:
    system, option, what, *arguments = sys.argv[1:]
    become(system)
    sys.argv = [what, *arguments]
    if option == "-c":
        sys.argv[0] = "-c"
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
    else:
        if what == "pytest":  # what it imports has been imported above; its temporary files cannot be removed here
            sys.argv += ["-n", "0", "--capture=sys", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
        runpy.run_module(what, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
