#!/usr/bin/env python3
"""Archives from the local store against nginx's `sendfile`, and the server's memory while it sends them.

    benches/dists.py --kapelle target/release/kapelle
"""

import argparse
import os
import pathlib
import subprocess
import tempfile
import threading
import time

from common import GIT_ENVIRONMENT, Kapelle, memory, middle, ratio
from load import Load, Nginx, basic

SIZES = {"1 MB": 10**6, "50 MB": 50 * 10**6}


def make(path, size):
    """A repository whose archive has about so many bytes, as they cannot be compressed; gives its commit."""
    git = lambda *arguments: subprocess.run(["git", "-C", str(path), *arguments], env=dict(
        GIT_ENVIRONMENT, GIT_AUTHOR_NAME="b", GIT_AUTHOR_EMAIL="b@example.org", GIT_COMMITTER_NAME="b",
        GIT_COMMITTER_EMAIL="b@example.org"), check=True, capture_output=True).stdout.decode().strip()
    path.mkdir()
    git("init", "-q", "-b", "main")
    (path / "composer.json").write_text(f'{{"name": "acme/{path.name}", "description": "large"}}')
    (path / "data.bin").write_bytes(os.urandom(size))
    git("add", "-A")
    git("commit", "-q", "-m", "all")
    git("tag", "1.0.0")
    return git("rev-parse", "HEAD")


class Watch(threading.Thread):
    """The most memory that a process has until it is stopped."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.most, self.over = pid, 0, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.1):
            self.most = max(self.most, memory(self.pid)[0])

    def stop(self):
        self.over.set()
        self.join()
        return self.most


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kapelle", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        kapelle = Kapelle(options.kapelle, folder / "kapelle")
        files = folder / "files"
        headers, loads = {"Authorization": basic(kapelle.token)}, {}
        for number, size in enumerate(SIZES.values()):
            commit = make(folder / f"large-{number}", size)
            kapelle.run("package", "add", f"file://{folder}/large-{number}", "--organization", "acme", "--wait")
            loads[number] = f"/repo/acme/dists/acme/large-{number}/{commit}.zip", f"/large-{number}.zip"
        kapelle.serve()
        kapelle.wait_for_jobs()
        time.sleep(2)
        files.mkdir()
        for ours, theirs in loads.values():
            answer = kapelle.request("GET", ours, None, headers)
            assert answer.status == 200, answer.body
            (files / theirs[1:]).write_bytes(answer.body)
        nginx = Nginx(files, kapelle.token)
        print("| work | ours, MB/s | nginx, MB/s | ratio | ours, CPU | nginx, CPU | ratio | our memory, MB: before, most |")
        print("|---|---|---|---|---|---|---|---|")
        try:
            for (name, size), paths in zip(SIZES.items(), loads.values()):
                sides = [(server, Load(folder, [path], [1])) for server, path in zip((kapelle, nginx), paths)]
                rates, costs = ([], []), ([], [])
                before, watch = memory(kapelle.process.pid)[0], Watch(kapelle.process.pid)
                for _ in range(options.rounds):
                    for (server, load), rate, cost in zip(sides, rates, costs):
                        result = load.run(server, headers, options.seconds, options.connections)
                        assert not result.refused
                        rate.append(result.rate * size / 1e6)
                        cost.append(result.cost / size * 1e6)
                most = watch.stop()
                print(f"| dist of {name}, {options.connections} connections | {middle(rates[0]):.0f} | {middle(rates[1]):.0f} | {ratio(*rates):.2f}× "
                      f"| {middle(costs[0]):.0f} µs/MB | {middle(costs[1]):.0f} µs/MB | {ratio(*costs):.2f}× | {before:.0f}, {most:.0f} |", flush=True)
        finally:
            nginx.stop()
            kapelle.stop()


if __name__ == "__main__":
    main()
