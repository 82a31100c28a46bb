#!/usr/bin/env python3
"""What grows with the number of packages, and what must not: a generated registry, on SQLite or PostgreSQL.

The registry is generated into a folder once and used again by the next run. What is compared is measured in turn in one
run, A B A B …; what counts is the median of the ratios.

    cargo build --release -p kapelle && cargo build --release -p kapelle-registry --example generate
    benches/scale.py --kapelle target/release/kapelle --generate target/release/examples/generate --folder /var/tmp/scale
"""

import argparse
import http.client
import pathlib
import random
import resource
import subprocess
import tempfile
import time

import repositories
from common import Kapelle, memory, middle, ratio, wait_until
from imports import Folder, Hook
from load import Load, Nginx, basic
from postgres import Postgres

PUBLIC_URL = "https://packages.example/"
#: So many documents fit into memory with ease.
HOT = 1_000
#: Bytes of an ordinary document in gzip form.
ORDINARY = 6_000


class Registry(Kapelle):
    """A generated registry."""

    def __init__(self, options, folder, packages, versions):
        settings = {"KAPELLE_DATABASE__URL": options.database} if options.database else {}
        super().__init__(options.kapelle, folder, **settings)
        self.names_file = self.folder / "names.txt"
        if packages and not self.names_file.exists():
            database = options.database or f"sqlite:{self.data}/kapelle.sqlite"
            more = options.generate_options.split()
            subprocess.run([options.generate, "--database", database, "--organization", "acme", "--public-url", PUBLIC_URL,
                            "--packages", str(packages), "--versions", str(versions), "--names", str(self.names_file), *more],
                           check=True)
        self.names = self.names_file.read_text().split() if packages else []
        self.headers = {"Authorization": basic(self.token), "Accept-Encoding": "gzip"}

    def serve(self, *arguments, **environment):
        """Starts the server without jobs; gives how long it took until it was ready, in seconds."""
        usual, self.environment = self.environment, dict(self.environment, **environment)
        started = time.monotonic()
        super().serve("--public-url", PUBLIC_URL, *arguments)
        self.environment = usual
        return time.monotonic() - started

    def get(self, path):
        answer = self.request("GET", path, None, self.headers)
        assert answer.status == 200, (path, answer.status, answer.body)
        return answer


def path_of(name):
    return f"/repo/acme/p2/{name}.json"


def zipf(names, count, ranks=None):
    """Numbers of names (from 1): the one of rank r is asked for 1/r as often as the first. Ranks are drawn; `ranks` limits
    them to the first ones."""
    dice = random.Random(1)
    ranked = list(range(1, len(names) + 1))
    dice.shuffle(ranked)
    ranked = ranked[:ranks]
    return dice.choices(ranked, [1 / rank for rank in range(1, len(ranked) + 1)], k=count)


def row(work, ours, floor, required):
    print(f"| {work} | {middle(ours):.0f} | {middle(floor):.0f} | {ratio(ours, floor):.2f}× | {required} |", flush=True)


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.registry = Registry(options, pathlib.Path(options.folder), options.packages, options.versions)

    def start_row(self):
        """Start-up and memory at rest."""
        took, rest = [], []
        for _ in range(self.options.rounds):
            took.append(self.registry.serve("--no-worker"))
            time.sleep(3)
            rest.append(memory(self.registry.process.pid)[0])
            self.registry.stop()
        packages = len(self.registry.names)
        print(f"| start-up until ready, s | {middle(took):.2f} | | | |")
        print(f"| memory at rest, MB; bytes per package | {middle(rest):.1f}; {middle(rest) * 2**20 / packages:.0f} | | | |", flush=True)

    def alternate(self, ours, theirs, seconds=None):
        """Runs two loads in turn."""
        results = [], []
        for _ in range(self.options.rounds):
            for kept, run in zip(results, (ours, theirs)):
                kept.append(run(seconds or self.options.seconds))
        return results

    def decile_rows(self):
        """Documents of the packages that were added last against those that were added first."""
        names = self.registry.names
        tenth = len(names) // 10
        dice = random.Random(7)
        for kind, environment, count in (("in memory", {}, HOT), ("from the database", {"KAPELLE_LIMITS__DOCUMENT_CACHE": "1 KiB"}, tenth)):
            self.registry.serve("--no-worker", **environment)
            loads = []
            for some in (names[-tenth:], names[:tenth]):
                picked = dice.sample(some, min(count, len(some)))
                load = Load(self.folder, map(path_of, picked), range(1, len(picked) + 1))
                loads.append(lambda seconds, load=load: load.run(self.registry, self.registry.headers, seconds))
                loads[-1](2)
            last, first = self.alternate(*loads)
            row(f"p2 {kind}, last tenth of the packages against the first, requests/s",
                [one.rate for one in last], [one.rate for one in first], "≥ 0.83×")
            assert not any(one.refused for one in last + first)
            self.registry.stop()

    def zipf_rows(self):
        """Every document, some much more often than others, against nginx on the same bytes."""
        registry, names = self.registry, self.registry.names
        registry.serve("--no-worker")
        root = self.folder / "files"
        self.write_files(root)
        picks = zipf(names, 400_000)
        top = zipf(names, 400_000, HOT * 5)
        ours, theirs = [map(path_of, names), (f"/p2/{name}.json" for name in names)]
        ours, theirs = Load(self.folder, ours, picks), Load(self.folder, theirs, picks)
        # Each open file is a descriptor in each worker.
        most = min(len(names), resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 2 * HOT)
        nginx = Nginx(root, registry.token, f"gzip_static always; open_file_cache max={most} inactive=600s;")
        run = lambda load, server: lambda seconds: load.run(server, registry.headers, seconds)
        run(ours, registry)(10), run(theirs, nginx)(10)
        before = registry.metrics()
        self.compare("p2, every document, Zipf", run(ours, registry), run(theirs, nginx), "≥ 0.80×")
        print(f"of these, from the database: {self.share(before, registry.metrics()):.1%}; memory {memory(registry.process.pid)} MB")
        hits = [Load(self.folder, map(path_of, names), top), Load(self.folder, (f"/p2/{name}.json" for name in names), top)]
        run(hits[0], registry)(5)
        self.compare("p2, documents in memory only", run(hits[0], registry), run(hits[1], nginx), "reported")
        nginx.stop()
        registry.stop()
        registry.serve("--no-worker", KAPELLE_LIMITS__DOCUMENT_CACHE="1 KiB")
        nginx = Nginx(root, registry.token, "gzip_static always;")
        self.compare("p2, documents from the database only (nginx without open_file_cache)",
                     run(ours, registry), run(theirs, nginx), "reported")
        nginx.stop()
        registry.stop()

    @staticmethod
    def share(before, after):
        grown = lambda name: sum(after.get(key, 0) - before.get(key, 0) for key in after if key.startswith(name))
        return grown("kapelle_documents_read_total") / max(grown("kapelle_http_requests_total"), 1)

    def compare(self, work, ours, theirs, required):
        ours, theirs = self.alternate(ours, theirs)
        assert not any(one.refused for one in ours + theirs), ours[0].output
        row(f"{work}, requests/s", [one.rate for one in ours], [one.rate for one in theirs], required)
        row(f"{work}, µs CPU each", [one.cost for one in ours], [one.cost for one in theirs], "reported")

    def write_files(self, root):
        """Every document as nginx wants it, as Kapelle gives it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.registry.port)
        for name in self.registry.names:
            connection.request("GET", path_of(name), headers=self.registry.headers)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200 and answer.headers["Content-Encoding"] == "gzip", name
            file = root / f"p2/{name}.json.gz"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body)

    def missing_rows(self):
        """What is not there, and what has not changed, against a document in memory."""
        registry = self.registry
        registry.serve("--no-worker")
        # As large as an ordinary document: how much is sent decides.
        sample = {len(registry.get(path_of(name)).body): name for name in random.Random(3).sample(registry.names, 500)}
        size = min(sample, key=lambda size: abs(size - ORDINARY))
        hot = Load(self.folder, [path_of(sample[size])], [1])
        run = lambda load, **headers: lambda seconds: load.run(registry, dict(registry.headers, **headers), seconds)
        unknown = Load(self.folder, [path_of(f"unknown/package-{number}") for number in range(HOT)], range(1, HOT + 1))
        root = Load(self.folder, ["/repo/acme/packages.json"], [1])
        date = registry.get("/repo/acme/packages.json").headers["Last-Modified"]
        print(f"document of {size} bytes")
        for work, ours in (("unknown package, 404", run(unknown)),
                           ("unchanged root, 304", run(root, **{"If-Modified-Since": date}))):
            ours(2)
            ours, floor = self.alternate(ours, run(hot))
            row(f"{work}, against hot p2, requests/s", [one.rate for one in ours], [one.rate for one in floor], "≥ 1.00×")
        registry.stop()

    def sync_rows(self):
        """One pushed tag until it is visible, and one new package, beside all others and alone."""
        empty = Registry(self.options_for_another(), self.folder / "empty", 0, 0)
        taken, added = {}, {}
        sides = {"beside all": self.registry, "alone": empty}
        # What was purged by a run before would not be published again.
        number = random.randrange(10, 100)
        name = f"lib-{number}"
        for side, registry in sides.items():
            upstreams = self.folder / f"upstreams-{len(taken)}"
            upstreams.mkdir()
            repositories.make(upstreams / f"{name}.git", number, 20)
            registry.url, registry.upstreams = Folder(upstreams).url(f"{name}.git"), upstreams
            registry.serve()
            registry.run("package", "add", registry.url, "--organization", "acme", "--wait")
            registry.hook, taken[side] = Hook(registry), []
            registry.get("/repo/acme/packages.json")
        for position in range(self.options.rounds * 4):
            for side, registry in sides.items():
                tag = f"v100.0.{position}"
                repositories.add_release(registry.upstreams / f"{name}.git", number, tag, position)
                taken[side].append(1000 * registry.hook.until_visible(registry.url, f"/repo/acme/p2/acme/{name}.json", tag))
                registry.get("/repo/acme/packages.json")
                time.sleep(0.3)
        row("one pushed tag, hook to visible, beside all others against alone, ms", taken["beside all"], taken["alone"], "flat")
        for side, registry in sides.items():
            registry.run("package", "remove", f"acme/{name}", "--organization", "acme")
            registry.run("package", "purge", f"acme/{name}", "--organization", "acme", "--yes")
            registry.stop()

    def options_for_another(self):
        """The same engine with nothing in it."""
        other = argparse.Namespace(**vars(self.options))
        other.database = self.options.server and self.options.server.empty("alone")
        return other

    def find_rows(self):
        """Searching, listing and the root: how long one takes."""
        registry = self.registry
        registry.serve("--no-worker")
        for work, path in (("root", "/repo/acme/packages.json"), ("search, one word", "/repo/acme/search.json?q=checkout"),
                           ("search, nothing found", "/repo/acme/search.json?q=nowhere"),
                           ("providers", "/repo/acme/providers/psr/log-implementation.json"),
                           ("list of names", "/repo/acme/packages/list.json"),
                           ("list of a vendor", "/repo/acme/packages/list.json?vendor=amber-access")):
            took = []
            for _ in range(self.options.rounds):
                started = time.monotonic()
                answer = registry.get(path)
                took.append((time.monotonic() - started) * 1000)
            print(f"| {work}, ms (first; bytes) | {middle(took):.1f} ({took[0]:.1f}; {len(answer.body)}) | | | |", flush=True)
        print(f"memory afterwards: {memory(registry.process.pid)} MB")
        registry.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kapelle", required=True)
    parser.add_argument("--generate", default="target/release/examples/generate")
    parser.add_argument("--folder", required=True, help="where the generated registry is kept")
    parser.add_argument("--postgres", action="store_true", help="PostgreSQL instead of SQLite, in the same folder")
    parser.add_argument("--packages", type=int, default=50_000)
    parser.add_argument("--versions", type=int, default=500_000)
    parser.add_argument("--generate-options", default="", help="more options for the generator")
    parser.add_argument("--rows", default="start,decile,zipf,missing,sync,find")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    options = parser.parse_args()
    options.server = Postgres(pathlib.Path(options.folder) / "postgres") if options.postgres else None
    options.database = options.server and options.server.url
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, pathlib.Path(folder))
        print("| work | ours | floor | ratio | required |\n|---|---|---|---|---|", flush=True)
        try:
            for name in options.rows.split(","):
                getattr(bench, f"{name}_row" if name == "start" else f"{name}_rows")()
        finally:
            bench.registry.stop()
            if options.server:
                options.server.stop()


if __name__ == "__main__":
    main()
