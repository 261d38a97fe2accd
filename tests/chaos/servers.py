"""The servers of a run, each throw-away, in a temporary folder and on free ports: Doorward's nodes, PostgreSQL,
pgbouncer, and a cluster of Patroni with etcd. None needs root; as root, those that refuse it run as another user."""

import asyncio
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

PROGRAM = os.environ.get("DOORWARD", str(Path(__file__).resolve().parents[2] / "target/debug/doorward"))
SECRET = "the root secret of a run with faults: 0123456789"
PASSWORD = "x"
# Nothing pulls the plug of the machine, so no server has to wait for its disk.
QUICK = {"fsync": "off", "max_connections": "100", "wal_log_hints": "on"}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def other_user():
    """The user as whom servers run that refuse root; None for this one."""
    if os.geteuid() != 0:
        return None
    for name in "postgres", "nobody":
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    raise SystemExit("error: PostgreSQL does not run as root, and there is no other user")


def programs_of_postgres():
    """Debian keeps them out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if found:
        return found[-1].parent
    if shutil.which("initdb"):
        return Path(shutil.which("initdb")).parent
    return None


def what_is_missing(*names):
    """The Debian packages that a run needs and that are not there."""
    there = {
        "postgresql": programs_of_postgres(),
        "pgbouncer": pgbouncer(),
        "patroni": shutil.which("patroni"),
        "etcd-server": shutil.which("etcd"),
    }
    return [name for name in names if not there[name]]


def pgbouncer():
    return shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin")


class Place:
    """The folder of a run, and every process that was started in it."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="doorward-chaos-"))
        self.user, self.processes = other_user(), []
        if self.user:
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)
        return path

    def start(self, name, command, *, as_other=False, env=None):
        """Starts a program; what it says goes to NAME.log."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("DOORWARD", "JWT_", "PG"))}
        environment.update(env or {}, HOME=str(self.folder), LC_ALL="C.UTF-8")
        more = {}
        if as_other and self.user:
            more = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                list(map(str, command)), env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, **more,
            )
        self.processes.append(process)
        return process

    async def run(self, name, command, **more):
        """Runs a program to its end."""
        process = self.start(name, command, **more)
        code = await asyncio.to_thread(process.wait)
        if code != 0:
            raise SystemExit(f"error: {Path(str(command[0])).name} failed:\n{self.log(name)}")

    def log(self, name, lines=30):
        path = self.folder / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def close(self):
        # A server of Patroni is not our own child: its folder names it.
        for path in self.folder.glob("*/postmaster.pid"):
            tell(family(first_number(path)), signal.SIGKILL)
        for process in self.processes:
            if process.poll() is None:
                tell([process.pid], signal.SIGKILL)
        for process in self.processes:
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def first_number(path):
    try:
        return int(path.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return 0


def family(pid):
    """A process and its children. The server processes of PostgreSQL have no group in common."""
    if not pid:
        return []
    children = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                children.append(int(path.parent.name))
        except (OSError, IndexError, ValueError):
            pass
    return [pid, *children]


def tell(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


class Unready(Exception):
    """Patroni did not do its part in time."""


async def until(holds, seconds, what, failure=SystemExit):
    """Waits until something holds; returns how long that took."""
    begun_at = time.monotonic()
    while not await holds():
        if time.monotonic() - begun_at > seconds:
            raise failure(f"error: {what} within {seconds} s")
        await asyncio.sleep(0.05)
    return time.monotonic() - begun_at


async def listens(port):
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 1)
        writer.close()
        return True
    except (OSError, TimeoutError):
        return False


async def ask(port, path, body=None, patience=2):
    """The status and the JSON of an answer over HTTP; 0 if there is none."""

    def asked():
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=patience) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.read()
        except OSError:
            return 0, b""

    status, text = await asyncio.to_thread(asked)
    try:
        return status, json.loads(text)
    except ValueError:
        return status, {}


class Postgres:
    """One server."""

    def __init__(self, place):
        self.place, self.bin, self.port = place, programs_of_postgres(), free_port()
        self.data, self.process = place.folder / "data", None

    @property
    def address(self):
        return "127.0.0.1", self.port

    async def make(self):
        password = self.place.write("password", PASSWORD)
        command = [self.bin / "initdb", "-D", self.data, "-U", "doorward", f"--pwfile={password}"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        await self.place.run("initdb", command, as_other=True)

    def start(self):
        options = {**QUICK, "listen_addresses": "127.0.0.1", "unix_socket_directories": self.place.folder}
        command = [self.bin / "postgres", "-D", self.data, "-p", self.port]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self.process = self.place.start("postgres", command, as_other=True)

    async def is_ready(self):
        command = [str(self.bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        process = await asyncio.create_subprocess_exec(*command)
        return await process.wait() == 0

    async def ready(self):
        return await until(self.is_ready, 30, "PostgreSQL did not start")

    async def stop(self, number):
        """By SIGINT it ends connections and stops; by SIGQUIT it stops at once, as after a crash; or by SIGKILL."""
        pids = family(self.process.pid)
        tell(pids if number == signal.SIGKILL else pids[:1], number)
        await asyncio.to_thread(self.process.wait)

    def freeze(self, is_frozen):
        pids = family(self.process.pid)
        tell(pids, signal.SIGSTOP if is_frozen else signal.SIGCONT)

    async def query(self, sql, database="postgres"):
        """What psql prints: values alone, a line a row."""
        return await query(self.bin, self.port, sql, database)


async def query(programs, port, sql, database="postgres"):
    url = f"postgres://doorward:{PASSWORD}@127.0.0.1:{port}/{database}?sslmode=disable"
    process = await asyncio.create_subprocess_exec(
        str(programs / "psql"), "-XqAtv", "ON_ERROR_STOP=1", "-c", sql, url,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"psql: {output.decode()}")
    return output.decode().strip()


class Pooler:
    """A pgbouncer with two databases: `shared` in transaction mode, `direct` in session mode."""

    def __init__(self, place, server_port):
        self.place, self.port, self.process = place, free_port(), None
        server = f"host=127.0.0.1 port={server_port} user=doorward password={PASSWORD} dbname=postgres"
        # Without server_login_retry it would keep everybody waiting for 15 s after a restart of PostgreSQL.
        text = (
            f"[databases]\nshared = {server} pool_mode=transaction pool_size=10\n"
            f"direct = {server} pool_mode=session pool_size=20\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            "auth_type = any\nserver_login_retry = 0.5\nmax_client_conn = 200\n"
        )
        self.file = place.write("pgbouncer.ini", text)

    def start(self):
        self.process = self.place.start("pgbouncer", [pgbouncer(), self.file], as_other=True)

    async def ready(self):
        return await until(lambda: listens(self.port), 10, "pgbouncer did not start")

    async def kill(self):
        tell([self.process.pid], signal.SIGKILL)
        await asyncio.to_thread(self.process.wait)


class Cluster:
    """Two members that Patroni keeps, one of them the primary, with etcd beside them."""

    # Seconds. Patroni's own choice is 30 for a leader's lease; all the rest is the same.
    LEASE, LOOP, RETRY = 5, 1, 3

    def __init__(self, place, synchronous, replication):
        """`replication` are two gates, through which each member reaches the other."""
        self.place, self.synchronous, self.replication = place, synchronous, replication
        self.bin, self.etcd_port = programs_of_postgres(), free_port()
        self.ports, self.rest = [free_port(), free_port()], [free_port(), free_port()]
        self.patroni = [None, None]
        for gate, port in zip(replication, self.ports):
            gate.target = "127.0.0.1", port

    async def make(self):
        peer, client = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{self.etcd_port}"
        command = ["etcd", "--data-dir", self.place.folder / "etcd", "--unsafe-no-fsync", "--initial-cluster", f"default={peer}"]
        for name, value in ("listen-client", client), ("advertise-client", client), ("listen-peer", peer), ("initial-advertise-peer", peer):
            command += [f"--{name}-urls", value]
        command += ["--heartbeat-interval", "50", "--election-timeout", "500"]
        self.place.start("etcd", command, as_other=True)
        await until(lambda: listens(self.etcd_port), 10, "etcd did not start")
        for member in 0, 1:
            self.start(member)
        return await self.whole()

    def settings(self, member):
        folder, port, rest = self.place.folder, self.ports[member], self.rest[member]
        users = {"superuser": "doorward", "replication": "replicator", "rewind": "rewinder"}
        return {
            "scope": "doorward",
            "name": f"member{member}",
            "restapi": {"listen": f"127.0.0.1:{rest}", "connect_address": f"127.0.0.1:{rest}"},
            "etcd3": {"host": f"127.0.0.1:{self.etcd_port}"},
            "bootstrap": {
                "dcs": {
                    "ttl": self.LEASE,
                    "loop_wait": self.LOOP,
                    "retry_timeout": self.RETRY,
                    "maximum_lag_on_failover": 1 << 26,
                    "synchronous_mode": self.synchronous,
                    "postgresql": {"use_pg_rewind": True, "parameters": QUICK},
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "no-sync"],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{port}",
                "connect_address": f"127.0.0.1:{self.replication[member].port}",
                "data_dir": str(folder / f"member{member}"),
                "bin_dir": str(self.bin),
                "pgpass": str(folder / f"pgpass{member}"),
                "authentication": {kind: {"username": name, "password": PASSWORD} for kind, name in users.items()},
                "pg_hba": ["host all all 127.0.0.1/32 scram-sha-256", "host replication all 127.0.0.1/32 scram-sha-256"],
                "parameters": {"unix_socket_directories": str(folder)},
            },
        }

    def start(self, member):
        # JSON is YAML.
        file = self.place.write(f"patroni{member}.yml", json.dumps(self.settings(member)))
        self.patroni[member] = self.place.start(f"patroni{member}", ["patroni", file], as_other=True)

    async def leader(self):
        """The member that is the primary, according to Patroni itself; None while there is none."""
        for member in 0, 1:
            if (await ask(self.rest[member], "/primary"))[0] == 200:
                return member
        return None

    async def whole(self):
        """Waits until both members are there, and the standby takes what is committed."""

        async def holds():
            leader = await self.leader()
            if leader is None:
                return False
            _, body = await ask(self.rest[leader], "/patroni")
            states = [one.get("sync_state") for one in body.get("replication", []) if one.get("state") == "streaming"]
            _, body = await ask(self.rest[leader], "/cluster")
            roles = sorted(one.get("role") for one in body.get("members", []))
            # Patroni promotes a member only if it is noted as synchronous, which comes a moment later.
            wanted = ("sync", "sync_standby") if self.synchronous else ("async", "replica")
            return states == [wanted[0]] and roles == ["leader", wanted[1]]

        return await until(holds, 60, "Patroni's cluster did not become whole", Unready)

    def pids(self, member, with_patroni=True):
        postgres = family(first_number(self.place.folder / f"member{member}" / "postmaster.pid"))
        return [self.patroni[member].pid, *postgres] if with_patroni else postgres

    async def kill(self, member):
        """As if its machine were gone."""
        tell(self.pids(member), signal.SIGKILL)
        await asyncio.to_thread(self.patroni[member].wait)

    async def switch(self, leader):
        """A planned change of roles."""
        body = {"leader": f"member{leader}", "candidate": f"member{1 - leader}"}
        return await ask(self.rest[leader], "/switchover", body, 20)

    async def query(self, sql, database="postgres"):
        return await query(self.bin, self.ports[await self.leader()], sql, database)


class Node:
    """One process of Doorward, on a port of its own that it keeps over its restarts."""

    def __init__(self, place, number, url, settings):
        self.place, self.number, self.port, self.process = place, number, free_port(), None
        self.name = f"node{number}"
        lines = [f'database = "{url}"', f'listen = "127.0.0.1:{self.port}"']
        lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        roles = "\n".join(f"role{at} = []" for at in range(8))
        self.file = place.folder / f"{self.name}.toml"
        self.file.write_text("\n".join(lines) + f"\n[roles]\n{roles}\n")
        self.file.chmod(0o600)

    def start(self, clock=None):
        """`clock` is an offset for libfaketime, such as `+40m`, or the path of a file with one."""
        self.clock, env = clock, {"DOORWARD_SECRET": SECRET}
        if clock:
            file = str(clock).startswith("/")
            env |= {"LD_PRELOAD": str(faketime()), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
            env |= {"FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_CACHE_DURATION": "1"} if file else {"FAKETIME": clock}
        self.process = self.place.start(self.name, [PROGRAM, "serve", "--config", self.file], env=env)

    async def run(self, *command):
        """A command of the program, with the settings of this node."""
        process = await asyncio.create_subprocess_exec(
            PROGRAM, *command, "--config", str(self.file), env={**os.environ, "DOORWARD_SECRET": SECRET},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        output, _ = await process.communicate(b"a password of an admin")
        if process.returncode != 0:
            raise SystemExit(f"error: doorward {command[0]} failed: {output.decode()}")

    async def ready(self):
        begun_at = time.monotonic()

        async def holds():
            if self.process.poll() is not None:
                # As a supervisor does: a start that the database keeps waiting for too long ends.
                if time.monotonic() - begun_at > 30:
                    raise SystemExit(f"error: {self.name} ended by itself:\n{self.place.log(self.name)}")
                self.start(self.clock)
            return await listens(self.port)

        return await until(holds, 60, f"{self.name} did not start")

    async def kill(self, number=signal.SIGKILL):
        tell([self.process.pid], number)
        await asyncio.to_thread(self.process.wait)

    def freeze(self, is_frozen):
        tell([self.process.pid], signal.SIGSTOP if is_frozen else signal.SIGCONT)


def faketime():
    """Debian's library that shows a process another time; None if it is not there."""
    return next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
