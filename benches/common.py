"""What the benchmarks have in common: a Kapelle of their own, git's own server, processor time, ratios."""

import http.client
import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import statistics
import subprocess
import time
import urllib.request

TICKS = os.sysconf("SC_CLK_TCK")
#: Git as our floor uses it: no settings of the machine, nothing collected behind our back.
GIT_ENVIRONMENT = dict(
    os.environ, GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL="/dev/null", GIT_TERMINAL_PROMPT="0",
    GIT_CONFIG_COUNT="2", GIT_CONFIG_KEY_0="gc.auto", GIT_CONFIG_VALUE_0="0",
    GIT_CONFIG_KEY_1="maintenance.auto", GIT_CONFIG_VALUE_1="false")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def processor_seconds(pid):
    """User and system time of a process, and of the children that it has waited for."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    own, waited = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return own / TICKS, waited / TICKS


def memory(pid):
    """What a process has in memory now and had at most, in MB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return [int(re.search(rf"{field}:\s+(\d+) kB", status)[1]) / 1024 for field in ("VmRSS", "VmHWM")]


def wait_until(condition, seconds, what, pause=0.02):
    """The first true answer of `condition`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = condition()
        if answer:
            return answer
        time.sleep(pause)
    raise TimeoutError(f"{what} took more than {seconds} s")


def middle(values):
    return statistics.median(values)


def ratio(ours, floor):
    """The median of the ratios pair by pair."""
    return middle([a / b for a, b in zip(ours, floor)])


def ask(port, method, path, body=None, headers=None):
    """The answer of a server on this machine, with its body as it was sent."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    answer.body = answer.read()
    connection.close()
    return answer


class GitDaemon:
    """git's own server for every repository of a folder, on loopback."""

    def __init__(self, folder):
        self.port = free_port()
        self.process = subprocess.Popen(
            ["git", "daemon", "--export-all", "--reuseaddr", "--listen=127.0.0.1", f"--port={self.port}",
             "--init-timeout=10", "--max-connections=64", f"--base-path={folder}", str(folder)],
            env=GIT_ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_until(self.answers, 10, "starting git daemon")

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def url(self, name):
        return f"git://127.0.0.1:{self.port}/{name}"

    def stop(self):
        # It starts another process of git, which is the server.
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait()


class Kapelle:
    """A Kapelle with a data folder of its own, on SQLite, with one organization."""

    def __init__(self, binary, folder, **settings):
        self.binary, self.folder = os.path.abspath(binary), pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data"
        self.port, self.metrics_port = free_port(), free_port()
        self.environment = dict(
            os.environ, KAPELLE_VCS__PROTOCOLS="git,file", KAPELLE_NETWORK__ALLOW="127.0.0.0/8",
            KAPELLE_METRICS__LISTEN=f"127.0.0.1:{self.metrics_port}", **settings)
        self.process = None
        self.token = self.run("setup", "--organization", "acme")["composer_token"]

    def command(self, *arguments):
        return [self.binary, *arguments, "--data", str(self.data), "--json"]

    def run(self, *arguments):
        done = subprocess.run(self.command(*arguments), capture_output=True, env=self.environment)
        if done.returncode != 0:
            raise RuntimeError(f"kapelle {' '.join(arguments)}: {done.stderr.decode()}")
        return json.loads(done.stdout or "null")

    def serve(self, *arguments):
        with open(self.folder / "kapelle.log", "a") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--data", str(self.data), "--listen", f"127.0.0.1:{self.port}", *arguments],
                stdout=log, stderr=log, env=self.environment)
        wait_until(self.is_ready, 60, "starting Kapelle")
        return self

    def is_ready(self):
        try:
            return self.request("GET", "/readyz").status == 200
        except (ConnectionError, http.client.HTTPException):
            return False

    def request(self, method, path, body=None, headers=None):
        return ask(self.port, method, path, body, headers)

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
            self.process = None

    def metrics(self):
        """Every figure of `/metrics` by its name with labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, value in
                (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))}

    def rows(self, query, *values):
        """Rows of the database, which a benchmark only reads."""
        database = sqlite3.connect(f"file:{self.data}/kapelle.sqlite?mode=ro", uri=True, timeout=30)
        try:
            return database.execute(query, values).fetchall()
        finally:
            database.close()

    def wait_for_jobs(self, kind=None, seconds=1800):
        """Waits until no job (of a kind) is queued or running; all must have gone well."""
        open_jobs = "SELECT COUNT(*) FROM jobs WHERE state IN ('queued', 'running') AND kind LIKE ?"
        wait_until(lambda: self.rows(open_jobs, kind or "%")[0][0] == 0, seconds, f"jobs of kind {kind}")
        failed = self.rows("SELECT kind, state, message FROM jobs WHERE state NOT IN ('success', 'queued', 'running')")
        assert not failed, failed

    def pids(self):
        return [self.process.pid]
