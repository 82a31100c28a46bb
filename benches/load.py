"""A static file server with its files, and the load that is put on it and on Kapelle."""

import base64
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

from common import TICKS, free_port, wait_until

WRK = shutil.which("wrk")
NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
#: Asks for the paths of a file in the order of another file's numbers, round and round.
PICK = """
local requests, picks, at = {}, {}, 0
function init(arguments)
  for path in io.lines(arguments[1]) do requests[#requests + 1] = wrk.format("GET", path) end
  for number in io.lines(arguments[2]) do picks[#picks + 1] = tonumber(number) end
end
function request()
  at = at % #picks + 1
  return requests[picks[at]]
end
"""


def own_seconds(pids):
    """User and system time of processes themselves."""
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


class Nginx:
    """nginx with two workers over the files of a folder, one line of access log for each request, unbuffered unless `log`
    says otherwise; Basic auth with the token as the password where it is `guarded`."""

    def __init__(self, root, token, http="open_file_cache max=1000;", log="", guarded=True):
        self.root = pathlib.Path(root)
        digest = base64.b64encode(hashlib.sha1(token.encode()).digest()).decode()
        (self.root / "htpasswd").write_text(f"token:{{SHA}}{digest}\n")
        self.port = free_port()
        guard = f'auth_basic "bench"; auth_basic_user_file {root}/htpasswd;' if guarded else ""
        (self.root / "nginx.conf").write_text(f"""
            daemon off; worker_processes 2; worker_rlimit_nofile 500000; pid {root}/pid; error_log {root}/error.log; user root;
            events {{ worker_connections 1024; }}
            http {{
                access_log {root}/access.log {log}; sendfile on; tcp_nopush on; keepalive_requests 1000000;
                default_type application/json; types {{ }} {http}
                server {{ listen 127.0.0.1:{self.port}; root {root}; {guard} }}
            }}""")
        self.process = subprocess.Popen([NGINX, "-p", str(root), "-c", str(self.root / "nginx.conf")])
        wait_until(self.pids, 10, "starting nginx")

    def pids(self):
        listed = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(child) for child in listed.split()]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


class Load:
    """What one wrk run asks for: paths, and the numbers (from 1) of those that are asked for, in order."""

    def __init__(self, folder, paths, picks):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=folder))
        (self.folder / "paths").write_text("".join(f"{path}\n" for path in paths))
        (self.folder / "picks").write_text("".join(f"{pick}\n" for pick in picks))
        (self.folder / "pick.lua").write_text(PICK)

    def run(self, server, headers, seconds, connections=64):
        """Asks for the picked ones, round and round."""
        files = [str(self.folder / name) for name in ("paths", "picks")]
        return wrk(server, "", headers, seconds, connections, ["-s", str(self.folder / "pick.lua")], files)


def wrk(server, path, headers, seconds, connections=64, options=(), arguments=()):
    """Requests per second, microseconds of the server's processor time for each, the 99th percentile in ms."""
    before = own_seconds(server.pids())
    command = [WRK, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "30s", *options]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    command += [f"http://127.0.0.1:{server.port}{path}", *arguments]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Result(output, own_seconds(server.pids()) - before)


class Result:
    """What wrk says, with the server's processor time."""

    def __init__(self, output, spent):
        self.output = output
        self.requests = int(re.search(r"(\d+) requests in", output)[1])
        self.rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
        self.cost = spent / max(self.requests, 1) * 1e6
        failed = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
        self.refused = int(failed[1]) if failed else 0
        broken = re.search(r"Socket errors: .*", output)
        assert not broken, output
        number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", output).groups()
        self.p99 = float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def basic(token):
    return "Basic " + base64.b64encode(f"token:{token}".encode()).decode()
