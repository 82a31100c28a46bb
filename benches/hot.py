#!/usr/bin/env python3
"""The hot path against a static file server: a p2 document with Basic auth, from Kapelle and from nginx.

Both serve the same gzip bytes to the same load (wrk) on loopback, in turn: A B A B … What counts is the median of the
ratios: requests per second, and processor time per request of the server alone.

    benches/hot.py --kapelle target/release/kapelle
"""

import argparse
import json
import pathlib
import subprocess
import tempfile
import time

from common import GIT_ENVIRONMENT, Kapelle, ask, middle, ratio
from load import Nginx, basic, wrk

PATH = "/repo/acme/p2/acme/lib.json"
FILE = "/p2/acme/lib.json"
#: So many make a document of about 6 KB in gzip form.
VERSIONS = 80
#: As Kapelle writes its own: many lines together, after a quarter of a second at most.
LOG = "combined buffer=1m flush=250ms"


def make_repository(folder):
    """A repository with a release for each version."""
    def git(*arguments):
        environment = dict(GIT_ENVIRONMENT, GIT_AUTHOR_DATE="2026-01-01T00:00:00Z", GIT_COMMITTER_DATE="2026-01-01T00:00:00Z")
        subprocess.run(["git", "-c", "user.name=bench", "-c", "user.email=bench@example.org", *arguments],
                       cwd=folder, check=True, capture_output=True, env=environment)
    folder.mkdir()
    git("init", "-q", "-b", "main")
    for number in range(VERSIONS):
        manifest = {
            "name": "acme/lib", "description": "A package to be measured", "license": "MIT", "type": "library",
            "require": {"php": f">=8.{number % 5}", "acme/other": f"^{number}.0"},
            "autoload": {"psr-4": {"Acme\\Lib\\": "src/"}},
        }
        (folder / "composer.json").write_text(json.dumps(manifest, indent=4))
        git("add", "-A")
        git("commit", "-q", "--allow-empty", "-m", f"release {number}")
        git("tag", f"1.{number}.0")


def prepare(kapelle, folder, headers):
    """Serves the package, and gives its document once the background has built its archives, which add checksums."""
    make_repository(folder / "repository")
    kapelle.serve()
    kapelle.run("package", "add", f"file://{folder}/repository", "--organization", "acme", "--wait")
    kapelle.wait_for_jobs()
    # The schedule looks at what is new every few seconds.
    time.sleep(3)
    kapelle.wait_for_jobs()
    answer = kapelle.request("GET", PATH, None, headers)
    assert answer.status == 200 and answer.headers["Content-Encoding"] == "gzip", answer.status
    return answer


def modified(nginx, headers, body):
    """The date under which nginx has the document."""
    answer = ask(nginx.port, "GET", FILE, None, headers)
    assert answer.body == body, answer.status
    return answer.headers["Last-Modified"]


def compare(work, ours, theirs, options):
    sides = [(ours, [], []), (theirs, [], [])]
    for _ in range(options.rounds):
        for (server, path, headers), rates, costs in sides:
            result = wrk(server, path, headers, options.seconds, options.connections)
            assert not result.refused, result.output
            rates.append(result.rate)
            costs.append(result.cost)
    (_, our_rates, our_costs), (_, their_rates, their_costs) = sides
    print(f"| {work} | {middle(our_rates):.0f} | {middle(their_rates):.0f} | {ratio(our_rates, their_rates):.2f}× "
          f"| {middle(our_costs):.1f} | {middle(their_costs):.1f} | {ratio(our_costs, their_costs):.2f}× |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kapelle", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        kapelle = Kapelle(options.kapelle, folder / "kapelle")
        headers = {"Authorization": basic(kapelle.token), "Accept-Encoding": "gzip"}
        servers = [kapelle]
        try:
            document = prepare(kapelle, folder, headers)
            for name in "guarded", "open":
                file = folder / name / f"{FILE[1:]}.gz"
                file.parent.mkdir(parents=True)
                file.write_bytes(document.body)
                http = "gzip_static always; open_file_cache max=1000;"
                servers.append(Nginx(folder / name, kapelle.token, http, LOG, guarded=name == "guarded"))
            nginx, without = servers[1:]
            since = lambda date: dict(headers, **{"If-Modified-Since": date})
            print(f"document: {len(document.body)} bytes in gzip form; {options.rounds} rounds of {options.seconds} s, "
                  f"{options.connections} connections\n")
            print("| work | ours, requests/s | nginx, requests/s | ratio | ours, µs CPU each | nginx, µs CPU each | ratio |")
            print("|---|---|---|---|---|---|---|")
            compare("p2, 200, Basic auth", (kapelle, PATH, headers), (nginx, FILE, headers), options)
            compare("p2, 304, Basic auth", (kapelle, PATH, since(document.headers["Last-Modified"])),
                    (nginx, FILE, since(modified(nginx, headers, document.body))), options)
            compare("p2, 200, nginx without auth", (kapelle, PATH, headers), (without, FILE, headers), options)
        finally:
            for server in servers:
                server.stop()


if __name__ == "__main__":
    main()
