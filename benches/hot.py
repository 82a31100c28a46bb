#!/usr/bin/env python3
"""The hot path against a static file server: a p2 document with Basic auth, from Kapelle and from nginx.

Both serve the same gzip bytes to the same load (wrk) on loopback, in turn: A B A B … What counts is the ratio of
medians: requests per second, and processor time per request of the server alone.

    benches/hot.py --kapelle target/release/kapelle
"""

import argparse
import base64
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request

TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def processor_seconds(pids):
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def children(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def make_repository(folder, versions):
    """A repository whose p2 document has about 6 KB in gzip form."""
    def git(*arguments, **options):
        environment = dict(os.environ, GIT_AUTHOR_DATE="2026-01-01T00:00:00Z", GIT_COMMITTER_DATE="2026-01-01T00:00:00Z")
        subprocess.run(["git", "-c", "user.name=bench", "-c", "user.email=bench@example.org", *arguments],
                       cwd=folder, check=True, capture_output=True, env=environment, **options)
    folder.mkdir()
    git("init", "-q", "-b", "main")
    for number in range(versions):
        manifest = {
            "name": "acme/lib", "description": "A package to be measured", "license": "MIT", "type": "library",
            "require": {"php": f">=8.{number % 5}", "acme/other": f"^{number}.0"},
            "autoload": {"psr-4": {"Acme\\Lib\\": "src/"}},
        }
        (folder / "composer.json").write_text(json.dumps(manifest, indent=4))
        git("add", "-A")
        git("commit", "-q", "--allow-empty", "-m", f"release {number}")
        git("tag", f"1.{number}.0")


class Kapelle:
    def __init__(self, binary, folder):
        self.data = folder / "data"
        self.log = open(folder / "kapelle.log", "w")
        environment = dict(os.environ, KAPELLE_VCS__PROTOCOLS="file", KAPELLE_METRICS__TOKEN="for-the-benchmark-only")
        repository = folder / "repository"
        make_repository(repository, 120)
        self.port = free_port()
        common = ["--data", str(self.data), "--json"]
        run = lambda *arguments: json.loads(subprocess.run(
            [binary, *arguments, *common], check=True, capture_output=True, env=environment).stdout)
        self.token = run("setup", "--organization", "acme")["composer_token"]
        self.process = subprocess.Popen(
            [binary, "serve", "--data", str(self.data), "--listen", f"127.0.0.1:{self.port}"],
            stdout=self.log, stderr=self.log, env=environment)
        time.sleep(2)
        run("package", "add", f"file://{repository}", "--organization", "acme", "--wait")
        self.url = f"http://127.0.0.1:{self.port}/repo/acme/p2/acme/lib.json"
        self.wait_for_dists()

    def wait_for_dists(self):
        """The background builds add checksums and must not be measured."""
        last = None
        while True:
            time.sleep(3)
            now = self.fetch()[0]
            if now == last:
                return
            last = now

    def authorization(self):
        return "Basic " + base64.b64encode(f"token:{self.token}".encode()).decode()

    def fetch(self):
        request = urllib.request.Request(self.url, headers={
            "Authorization": self.authorization(), "Accept-Encoding": "gzip"})
        with urllib.request.urlopen(request) as answer:
            return answer.read(), answer.headers["Last-Modified"]

    def pids(self):
        return [self.process.pid]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


class Nginx:
    def __init__(self, binary, folder, body, token, authenticated):
        root = folder / ("auth" if authenticated else "open")
        (root / "p2/acme").mkdir(parents=True)
        (root / "p2/acme/lib.json.gz").write_bytes(body)
        digest = base64.b64encode(hashlib.sha1(token.encode()).digest()).decode()
        (root / "htpasswd").write_text(f"token:{{SHA}}{digest}\n")
        self.port = free_port()
        auth = f'auth_basic "bench"; auth_basic_user_file {root}/htpasswd;' if authenticated else ""
        (root / "nginx.conf").write_text(f"""
            daemon off; worker_processes 2; pid {root}/pid; error_log {root}/error.log; user root;
            events {{ worker_connections 1024; }}
            http {{
                access_log {root}/access.log combined buffer=1m flush=250ms; sendfile on; tcp_nopush on; keepalive_requests 1000000;
                open_file_cache max=1000; default_type application/json; types {{ }}
                server {{ listen 127.0.0.1:{self.port}; root {root}; gzip_static always; {auth} }}
            }}""")
        self.process = subprocess.Popen([binary, "-p", str(root), "-c", str(root / "nginx.conf")])
        time.sleep(1)
        self.url = f"http://127.0.0.1:{self.port}/p2/acme/lib.json"

    def pids(self):
        return children(self.process.pid)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def measure(server, wrk, headers, seconds, connections):
    flags = [flag for header in headers for flag in ("-H", header)]
    before = processor_seconds(server.pids())
    output = subprocess.run([wrk, "-t1", f"-c{connections}", f"-d{seconds}s", *flags, server.url],
                            check=True, capture_output=True, text=True).stdout
    spent = processor_seconds(server.pids()) - before
    requests = int(re.search(r"(\d+) requests in", output)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    assert not failed, output
    return rate, spent / requests * 1e6


def compare(name, ours, theirs, options):
    rates, costs = {"ours": [], "theirs": []}, {"ours": [], "theirs": []}
    for _ in range(options.rounds):
        for label, (server, headers) in (("ours", ours), ("theirs", theirs)):
            rate, cost = measure(server, options.wrk, headers, options.seconds, options.connections)
            rates[label].append(rate)
            costs[label].append(cost)
    middle = lambda values: statistics.median(values)
    ratio_rate = middle([a / b for a, b in zip(rates["ours"], rates["theirs"])])
    ratio_cost = middle([a / b for a, b in zip(costs["ours"], costs["theirs"])])
    print(f"| {name} | {middle(rates['ours']):.0f} | {middle(rates['theirs']):.0f} | {ratio_rate:.2f}× "
          f"| {middle(costs['ours']):.1f} | {middle(costs['theirs']):.1f} | {ratio_cost:.2f}× |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kapelle", required=True)
    parser.add_argument("--nginx", default=shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"))
    parser.add_argument("--wrk", default=shutil.which("wrk"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        kapelle = Kapelle(os.path.abspath(options.kapelle), folder)
        body, last_modified = kapelle.fetch()
        nginx = Nginx(options.nginx, folder, body, kapelle.token, authenticated=True)
        plain = Nginx(options.nginx, folder, body, kapelle.token, authenticated=False)
        try:
            with urllib.request.urlopen(urllib.request.Request(
                    nginx.url, headers={"Authorization": kapelle.authorization()})) as answer:
                assert answer.read() == body
                theirs_modified = answer.headers["Last-Modified"]
            headers = [f"Authorization: {kapelle.authorization()}", "Accept-Encoding: gzip"]
            print(f"document: {len(body)} bytes in gzip form; {options.rounds} rounds of {options.seconds} s, "
                  f"{options.connections} connections\n")
            print("| work | ours, requests/s | nginx, requests/s | ratio | ours, µs CPU each | nginx, µs CPU each | ratio |")
            print("|---|---|---|---|---|---|---|")
            compare("p2, 200, Basic auth", (kapelle, headers), (nginx, headers), options)
            compare("p2, 304, Basic auth", (kapelle, headers + [f"If-Modified-Since: {last_modified}"]),
                    (nginx, headers + [f"If-Modified-Since: {theirs_modified}"]), options)
            compare("p2, 200, nginx without auth", (kapelle, headers), (plain, headers), options)
        finally:
            for server in (kapelle, nginx, plain):
                server.stop()


if __name__ == "__main__":
    main()
