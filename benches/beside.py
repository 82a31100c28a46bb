#!/usr/bin/env python3
"""What an import does to those who do something else: the 99th percentile of a hot document and of making a token.

A hundred requests a second at most, one after the other, and as many `token create` as there is time for, first while nothing else
happens, then while 25 repositories are imported and their archives built; in turn, A B A B … The client has a higher priority than
all that it measures, where it may have one: it is the server that is measured, not how long Python waits for a processor.

    benches/beside.py --kapelle target/release/kapelle
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import pathlib
import socket
import subprocess
import tempfile
import time

import repositories
from common import Kapelle, memory, middle, ratio
from imports import Folder
from load import Nginx, basic

#: Seconds between two requests.
PACE = 0.01
DOCUMENT = "/repo/acme/p2/acme/lib-90.json"


class Observer(multiprocessing.get_context("fork").Process):
    """Somebody who does something again and again; how long each took, in milliseconds. In a process of its own: what
    the benchmark does meanwhile must not keep it waiting."""

    #: Against those who do what is measured.
    PRIORITY = -1

    def __init__(self, kapelle):
        super().__init__(daemon=True)
        self.kapelle, self.over = kapelle, multiprocessing.Event()
        self.taken, self.told = multiprocessing.Pipe(duplex=False)
        self.start()
        self.told.close()

    def run(self):
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, self.PRIORITY)
        self.begin()
        took = []
        while not self.over.wait(PACE):
            started = time.monotonic()
            self.act()
            took.append((time.monotonic() - started) * 1000)
        self.told.send(took)

    def begin(self):
        """Whatever is done once, before."""

    def stop(self):
        self.over.set()
        took = self.taken.recv()
        self.join()
        return took


class Reader(Observer):
    """Somebody who asks for a document."""

    PRIORITY = -15

    def port(self):
        return self.kapelle.port

    def begin(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port()))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = (f"GET {DOCUMENT} HTTP/1.1\r\nHost: bench\r\nAccept-Encoding: gzip\r\n"
                        f"Authorization: {basic(self.kapelle.token)}\r\n\r\n").encode()

    def act(self):
        self.socket.sendall(self.request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.socket.recv(1 << 16)
        head, body = answer.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(next(line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")))
        while len(body) < length:
            body += self.socket.recv(1 << 16)


class Neighbour(Reader):
    """Somebody who asks nginx for the same bytes: what the machine itself does to requests meanwhile."""

    def port(self):
        return self.kapelle.nginx.port


class Maker(Observer):
    """Somebody who makes tokens."""

    def begin(self):
        self.command = self.kapelle.command("token", "create", "--organization", "acme")

    def act(self):
        subprocess.run(self.command, check=True, capture_output=True, env=self.kapelle.environment)


KINDS = {
    "p2": ("p2 in memory", Reader, "≤ 2×"),
    "nginx": ("the same from nginx", Neighbour, "reported"),
    "token": ("making a token", Maker, "≤ 2×"),
}


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def observe(kapelle, kind, work):
    """How long those took who did something else during `work`."""
    observer = kind(kapelle)
    work()
    return observer.stop()


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.upstreams = folder / "upstreams"
        repositories.make_all(self.upstreams)
        self.single = folder / "single"
        self.single.mkdir()
        repositories.make(self.single / "lib-90.git", 90, 60)
        self.made = 0

    def started(self):
        """A server with one package that is asked for, and a file that names the others."""
        self.made += 1
        kapelle = Kapelle(self.options.kapelle, self.folder / f"kapelle-{self.made}").serve()
        kapelle.run("package", "add", Folder(self.single).url("lib-90.git"), "--organization", "acme", "--wait")
        kapelle.wait_for_jobs()
        document = kapelle.request("GET", DOCUMENT, None, {"Authorization": basic(kapelle.token), "Accept-Encoding": "gzip"})
        file = kapelle.folder / f"files{DOCUMENT}.gz"
        file.parent.mkdir(parents=True)
        file.write_bytes(document.body)
        kapelle.nginx = Nginx(kapelle.folder / "files", kapelle.token, "gzip_static always; open_file_cache max=1000;")
        urls = [Folder(self.upstreams).url(path.name) for path in sorted(self.upstreams.iterdir())]
        (kapelle.folder / "satis.json").write_text(json.dumps({"repositories": [{"type": "git", "url": url} for url in urls]}))
        return kapelle

    def compare(self, work, kind, required):
        idle, busy, most = [], [], []
        for _ in range(self.options.rounds):
            kapelle = self.started()
            observe(kapelle, kind, lambda: time.sleep(1))
            idle.append(observe(kapelle, kind, lambda: time.sleep(self.options.seconds)))

            def import_all():
                kapelle.run("import", str(kapelle.folder / "satis.json"), "--organization", "acme")
                kapelle.wait_for_jobs()
            busy.append(observe(kapelle, kind, import_all))
            most.append(memory(kapelle.process.pid)[1])
            kapelle.nginx.stop()
            kapelle.stop()
        for part, limit in ((0.5, "reported"), (0.99, required)):
            ours, floor = ([percentile(one, part) for one in several] for several in (busy, idle))
            print(f"| {work}, percentile {part * 100:.0f}, ms | {middle(ours):.2f} | {middle(floor):.2f} | {ratio(ours, floor):.2f}× | {limit} |",
                  flush=True)
        print(f"({[len(one) for one in busy]} against {[len(one) for one in idle]} samples; memory at most {middle(most):.0f} MB)", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kapelle", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", default="p2,nginx,token")
    parser.add_argument("--seconds", type=int, default=15, help="how long nothing else happens")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, pathlib.Path(folder))
        print("| work | while importing | idle | ratio | required |\n|---|---|---|---|---|", flush=True)
        for name in options.rows.split(","):
            bench.compare(*KINDS[name])


if __name__ == "__main__":
    main()
