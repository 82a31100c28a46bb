#!/usr/bin/env python3
"""Importing and synchronizing repositories against what git itself needs for the same.

Both fetch by the same transport, as many repositories at once as Kapelle has slots, in turn: A B A B … What counts is
the median of the ratios. Without `--repositories` the repositories are made, always the same ones. The transport is
git's own over pipes (`file://`): no network hides what either side takes. `--transport git` asks a `git daemon` on
loopback, whose answers wait for delayed acknowledgements, on both sides.

    benches/imports.py --kapelle target/release/kapelle [--repositories FOLDER] [--rows import,resync,dists,tag]
"""

import argparse
import concurrent.futures
import http.client
import itertools
import json
import os
import pathlib
import resource
import shutil
import sqlite3
import subprocess
import tempfile
import time

import repositories
from common import GIT_ENVIRONMENT, GitDaemon, Kapelle, memory, middle, processor_seconds, ratio, wait_until

#: Kapelle's default of `jobs.slots`.
AT_ONCE = 4
FETCHING, AFTERWARDS = ("list", "fetch"), ("read", "plan", "protect", "publish")


def run_git(arguments, path=None, stream=None, output=subprocess.DEVNULL):
    """Runs git and gives how long that took."""
    environment = dict(GIT_ENVIRONMENT, GIT_DIR=str(path)) if path else GIT_ENVIRONMENT
    started = time.monotonic()
    subprocess.run(["git", *arguments], env=environment, input=stream, stdout=output, stderr=subprocess.DEVNULL, check=True)
    return time.monotonic() - started


def at_once(work, items):
    """How long the whole took, and the sum over the items, which `work` gives."""
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        each = list(pool.map(work, items))
    return time.monotonic() - started, sum(each)


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Bench:
    def __init__(self, options, folder, upstreams):
        self.options, self.folder, self.upstreams = options, folder, upstreams
        self.names = sorted(path.name for path in upstreams.iterdir())
        self.served = serve(options, upstreams)
        self.made = 0

    def fresh(self, kind):
        self.made += 1
        return self.folder / f"{kind}-{self.made}"

    def synchronize(self, kapelle):
        """Adds every repository; gives how long each step of all synchronizations took together."""
        satis = kapelle.folder / "satis.json"
        satis.write_text(json.dumps({"repositories": [
            {"type": "git", "url": self.served.url(name)} for name in self.names]}))
        kapelle.run("import", str(satis), "--organization", "acme")
        kapelle.wait_for_jobs("SyncPackage")
        figures = kapelle.metrics()
        return lambda name: figures.get(f'kapelle_sync_seconds_sum{{step="{name}"}}', 0)

    def imported(self):
        """A server that has everything: how long its steps took, its memory."""
        kapelle = Kapelle(self.options.kapelle, self.fresh("kapelle")).serve()
        pid = kapelle.process.pid
        time.sleep(3)
        idle = memory(pid)[0]
        step = self.synchronize(kapelle)
        highest = memory(pid)[1]
        begun, ended = kapelle.rows("SELECT MIN(started_at), MAX(finished_at) FROM jobs WHERE kind = 'SyncPackage'")[0]
        kapelle.wait_for_jobs()
        until = kapelle.rows("SELECT MAX(finished_at) FROM jobs")[0][0]
        own, git = processor_seconds(pid)
        return kapelle, {
            "versions": kapelle.rows("SELECT COUNT(*) FROM versions")[0][0],
            "dists": kapelle.rows("SELECT COUNT(*) FROM dists")[0][0],
            "wall": (ended - begun) / 1000, "with dists": (until - begun) / 1000,
            "fetching": sum(map(step, FETCHING)), "afterwards": sum(map(step, AFTERWARDS)),
            "steps": {name: round(step(name), 2) for name in FETCHING + AFTERWARDS},
            "idle MB": idle, "import MB": highest, "with dists MB": memory(pid)[1],
            "own CPU": own, "git CPU": git,
        }

    def published(self, mirrors):
        """Everything after fetching with nothing else going on: a server that finds complete mirrors and synchronizes one
        repository after the other; then git, which reads one file at each ref of the same mirrors."""
        kapelle = Kapelle(self.options.kapelle, self.fresh("kapelle"), KAPELLE_JOBS__SLOTS="1")
        shutil.copytree(mirrors, kapelle.data / "mirrors", dirs_exist_ok=True)
        step = self.synchronize(kapelle.serve())
        steps = {name: step(name) for name in AFTERWARDS}
        refs = kapelle.rows("SELECT package_id, commit_id FROM package_refs ORDER BY package_id, name")
        kapelle.stop()
        reading = 0
        for package, some in itertools.groupby(refs, key=lambda row: row[0]):
            wanted = "".join(f"{commit}:composer.json\n" for _, commit in some).encode()
            reading += run_git(["cat-file", "--batch", "--buffer"], mirrors / f"{package}.git", wanted)
        shutil.rmtree(kapelle.folder)
        return steps, reading

    def cloned(self):
        """What git needs to fetch everything, and to read one file at each ref."""
        mirrors = self.fresh("clones")
        mirrors.mkdir()
        before = children_seconds()
        clone = lambda name: run_git(["clone", "--mirror", "--quiet", self.served.url(name), str(mirrors / name)])
        clone_wall, fetching = at_once(clone, self.names)
        clone_cpu = children_seconds() - before
        wanted = {}
        for name in self.names:
            commits = repositories.references(mirrors / name)[1]
            wanted[name] = "".join(f"{commit}:composer.json\n" for commit in commits).encode()
        before = children_seconds()
        read = lambda name: run_git(["cat-file", "--batch", "--buffer"], mirrors / name, wanted[name])
        read_wall, reading = at_once(read, self.names)
        return mirrors, {"fetching": fetching, "reading": reading, "clone wall": clone_wall, "read wall": read_wall,
                         "clone CPU": clone_cpu, "read CPU": children_seconds() - before}

    def import_rows(self):
        ours, floor, alone, alone_floor = [], [], [], []
        for _ in range(self.options.rounds):
            kapelle, figures = self.imported()
            kapelle.stop()
            ours.append(figures)
            for _ in range(3):
                steps, reading = self.published(kapelle.data / "mirrors")
                alone.append(steps)
                alone_floor.append(reading)
            shutil.rmtree(kapelle.folder)
            mirrors, figures = self.cloned()
            shutil.rmtree(mirrors)
            floor.append(figures)
        of = lambda runs, key: [run[key] for run in runs]
        print(f"{len(self.names)} repositories, {ours[0]['versions']} versions, {ours[0]['dists']} dists; steps: {ours[-1]['steps']}")
        print({key: round(middle(of(ours, key)), 2) for key in ours[0] if key != "steps"})
        print({key: round(middle(of(floor, key)), 2) for key in floor[0]})
        row("import: fetching, seconds summed", of(ours, "fetching"), of(floor, "fetching"), 1.3)
        print("alone:", {name: round(middle(of(alone, name)), 3) for name in AFTERWARDS})
        row("import: everything after fetching, seconds summed", [sum(steps.values()) for steps in alone], alone_floor, 5)
        row("the same beside fetches, seconds summed", of(ours, "afterwards"), of(floor, "reading"))
        both = [a + b for a, b in zip(of(floor, "clone wall"), of(floor, "read wall"))]
        row("import: from the first job to the last version visible, seconds", of(ours, "wall"), both)
        for key, limit in (("idle MB", 40), ("import MB", 100), ("with dists MB", 100)):
            print(f"| memory: {key} | {middle(of(ours, key)):.0f} | | | {limit} |")

    def resync_row(self):
        kapelle, _ = self.imported()
        ours, floor = [], []
        built = lambda: kapelle.rows("SELECT (SELECT COUNT(*) FROM dists), (SELECT MAX(seq) FROM changes), "
                                     "(SELECT SUM(revision) FROM packages)")[0]
        before = built()
        hook = Hook(kapelle)

        def all_at_once():
            kapelle.run("package", "sync", "--all", "--organization", "acme")

        def one_by_one():
            for name in self.names:
                hook.call(self.served.url(name))
        ways = {"all queued at once": (all_at_once, "started_at", 1.5), "by hooks, from the first call": (one_by_one, "created_at", None)}
        for way, (queue, since, required) in ways.items():
            ours, floor = [], []
            for _ in range(self.options.rounds * 3):
                listed = lambda name: run_git(["ls-remote", "--quiet", self.served.url(name)])
                floor.append(at_once(listed, self.names)[0])
                last = kapelle.rows("SELECT MAX(id) FROM jobs")[0][0]
                queue()
                kapelle.wait_for_jobs()
                begun, ended = kapelle.rows(f"SELECT MIN({since}), MAX(finished_at) FROM jobs WHERE id > ?", last)[0]
                ours.append((ended - begun) / 1000)
            row(f"re-sync of {len(self.names)} repositories, nothing changed, {way}, seconds", ours, floor, required)
        assert built() == before, "something was built again"
        kapelle.stop()

    def dists_row(self):
        name = self.largest()
        walls, costs, floor_walls, floor_costs = [], [], [], []
        for _ in range(self.options.rounds):
            kapelle = Kapelle(self.options.kapelle, self.fresh("kapelle"))
            kapelle.run("package", "add", self.served.url(name), "--organization", "acme", "--wait")
            job = kapelle.rows("SELECT id FROM jobs WHERE kind = 'BuildDists'")[0][0]
            before = children_seconds()
            kapelle.run("job", "wait", str(job))
            count = kapelle.rows("SELECT COUNT(*) FROM dists")[0][0]
            costs.append((children_seconds() - before) / count * 1000)
            begun, ended = kapelle.rows("SELECT started_at, finished_at FROM jobs WHERE id = ?", job)[0]
            walls.append((ended - begun) / count)
            size = kapelle.rows("SELECT SUM(size) FROM dists")[0][0]
            shutil.rmtree(kapelle.folder)
            wall, cost, theirs = self.archived(name)
            floor_walls.append(wall / count * 1000)
            floor_costs.append(cost / count * 1000)
        print(f"{count} dists of {name}: {size} bytes, git's {theirs} bytes")
        row("dists: ms of CPU per version", costs, floor_costs, 1.0)
        row("dists: ms per version", walls, floor_walls, 0.6)

    def archived(self, name):
        """`git archive --format=zip` of every commit, one after the other: seconds, CPU seconds, bytes."""
        folder = self.fresh("archives")
        folder.mkdir()
        commits = "\n".join(repositories.references(self.upstreams / name)[0]) + "\n"
        environment = dict(GIT_ENVIRONMENT, GIT_DIR=str(self.upstreams / name), OUT=str(folder))
        loop = 'while read -r commit; do git archive --format=zip -o "$OUT/$commit.zip" "$commit" || exit 1; done'
        before, started = children_seconds(), time.monotonic()
        subprocess.run(["sh", "-c", loop], input=commits, text=True, env=environment, check=True)
        wall, cost = time.monotonic() - started, children_seconds() - before
        size = sum(path.stat().st_size for path in folder.iterdir())
        shutil.rmtree(folder)
        return wall, cost, size

    def largest(self):
        return max(self.names, key=lambda name: len(repositories.references(self.upstreams / name)[1])
                   if self.options.of is None else name == self.options.of)

    def tag_row(self, packages):
        """A tag is pushed, the hook called; until the document has it. Against `git fetch` of that tag."""
        upstreams = self.fresh("pushed")
        upstreams.mkdir()
        repositories.make(upstreams / "lib-00.git", 0, 600)
        served = serve(self.options, upstreams)
        url = served.url("lib-00.git")
        clone = self.fresh("clone")
        run_git(["clone", "--mirror", "--quiet", url, str(clone)])
        kapelle = Kapelle(self.options.kapelle, self.fresh("kapelle"))
        kapelle.run("package", "add", url, "--organization", "acme", "--wait")
        fill(kapelle, packages)
        kapelle.serve()
        kapelle.wait_for_jobs()
        hook, ours, floor = Hook(kapelle), [], []
        for position in range(self.options.rounds * 5):
            tag = f"v100.0.{position}"
            repositories.add_release(upstreams / "lib-00.git", 0, tag, position)
            fetch = lambda: floor.append(run_git(["fetch", "--quiet", "--no-tags", url, f"+refs/tags/{tag}:refs/tags/{tag}"], clone))
            if position % 2:
                fetch()
            ours.append(hook.until_visible(url, "/repo/acme/p2/acme/lib-00.json", tag))
            kapelle.wait_for_jobs()
            if position % 2 == 0:
                fetch()
        kapelle.stop()
        served.stop()
        scale = lambda seconds: [value * 1000 for value in seconds]
        row(f"a pushed tag of 600, hook to visible, among {packages} packages, ms", scale(ours), scale(floor), 3)


class Hook:
    """Somebody who calls the hook and looks at documents."""

    def __init__(self, kapelle):
        self.kapelle = kapelle
        self.secret = kapelle.run("hook", "show", "--organization", "acme")["secret"]
        self.connection = http.client.HTTPConnection("127.0.0.1", kapelle.port, timeout=60)

    def request(self, *arguments):
        self.connection.request(*arguments)
        answer = self.connection.getresponse()
        return answer, answer.read()

    def call(self, url):
        headers = {"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"}
        answer, body = self.request("POST", "/hooks/generic/acme", json.dumps({"repository": url}), headers)
        assert answer.status == 202, body

    def until_visible(self, url, document, version):
        headers = {"Authorization": f"Bearer {self.kapelle.token}"}
        headers["If-Modified-Since"] = self.request("GET", document, None, headers)[0].headers["Last-Modified"]
        started = time.monotonic()
        self.call(url)

        def look():
            answer, body = self.request("GET", document, None, headers)
            return body if answer.status == 200 else None
        body = wait_until(look, 60, "publishing a tag", pause=0.002)
        elapsed = time.monotonic() - started
        assert f'"{version}"'.encode() in body, "the document changed without the tag"
        return elapsed


def fill(kapelle, packages):
    """Adds packages that nothing happens to, written as rows: what stands beside must not matter."""
    now = int(time.time() * 1000)
    database = sqlite3.connect(kapelle.data / "kapelle.sqlite")
    for number in range(packages):
        name = f"other/lib-{number}"
        package = database.execute(
            "INSERT INTO packages (organization_id, name, kind, origin, repository_url, repository_key, description, type,"
            " synced_at, created_at) VALUES (1, ?, 'vcs', 'private', ?, ?, '', 'library', ?, ?)",
            (name, f"https://git.example.org/{name}", f"git.example.org/{name}", now, now)).lastrowid
        database.execute(
            "INSERT INTO versions (package_id, version, version_normalized, stability, ref_name, reference, manifest,"
            " default_branch, released_at, published_at, updated_at)"
            " VALUES (?, '1.0.0', '1.0.0.0', 'stable', 'refs/tags/1.0.0', ?, ?, 0, ?, ?, ?)",
            (package, f"{number:040x}", json.dumps({"name": name}), now, now, now))
    database.commit()
    database.close()


class Folder:
    """Repositories that are opened where they lie."""

    def __init__(self, folder):
        self.folder = folder

    def url(self, name):
        return f"file://{(self.folder / name).resolve()}"

    def stop(self):
        pass


def serve(options, folder):
    return GitDaemon(folder) if options.transport == "git" else Folder(folder)


def row(work, ours, floor, required=None):
    limit = f"≤ {required}×" if required else "reported"
    print(f"| {work} | {middle(ours):.3g} | {middle(floor):.3g} | {ratio(ours, floor):.2f}× | {limit} |", flush=True)


def upstreams(options, folder):
    """The bare repositories to be imported, side by side in one folder."""
    if not options.repositories:
        made = folder / "upstreams"
        repositories.make_all(made)
        return made
    links = folder / "upstreams"
    links.mkdir()
    for folder in sorted(pathlib.Path(options.repositories).iterdir()):
        for path in (folder, *sorted(folder.iterdir())):
            if all((path / part).exists() for part in ("HEAD", "objects", "refs")):
                (links / folder.name).symlink_to(path.resolve())
                break
    return links


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kapelle", required=True)
    parser.add_argument("--repositories", help="a folder of clones, instead of repositories that are made")
    parser.add_argument("--transport", choices=("file", "git"), default="file")
    parser.add_argument("--of", help="the repository of the row dists; without it the one with most refs")
    parser.add_argument("--rows", default="import,resync,dists,tag")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--packages", default="0,100,5000", help="how many other packages there are in the row tag")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        bench = Bench(options, folder, upstreams(options, folder))
        try:
            print("| work | ours | floor | ratio | required |\n|---|---|---|---|---|", flush=True)
            for name in options.rows.split(","):
                if name == "import":
                    bench.import_rows()
                elif name == "resync":
                    bench.resync_row()
                elif name == "dists":
                    bench.dists_row()
                elif name == "tag":
                    for packages in options.packages.split(","):
                        bench.tag_row(int(packages))
        finally:
            bench.served.stop()


if __name__ == "__main__":
    main()
