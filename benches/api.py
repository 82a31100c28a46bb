#!/usr/bin/env python3
"""The management API: long lists, and uploads that are verified on their way.

    benches/api.py --kapelle target/release/kapelle

* Lists: 10,000 packages in one page, against SQLite's own JSON of the same rows (`json_group_array`), read by Python.
* Uploads: a signed archive of 100 MB, ours in processor time from its first byte until it is kept, against what the same digests
  of the same bytes take here (HMAC-SHA-256 of the escaped body, SHA-256, SHA-1; all by OpenSSL).
* Memory: what the process has at most while it takes archives of 100 MB and of 1 GB.
"""

import argparse
import base64
import hashlib
import hmac
import io
import json
import os
import sqlite3
import string
import tempfile
import time
import urllib.parse
import zipfile

from common import Kapelle, ask, memory, middle, processor_seconds, ratio

HOST = "127.0.0.1"
PLAIN = (string.ascii_letters + string.digits + "-_.~").encode()
ESCAPED = [bytes([byte]) if byte in PLAIN else f"%{byte:02X}".encode() for byte in range(256)]


def escaped(body):
    if not body.translate(None, PLAIN):
        return body
    return b"".join(map(ESCAPED.__getitem__, body))


def chunks(body, size=1 << 20):
    for start in range(0, len(body), size):
        yield body[start:start + size]


class Client:
    """Signs as the official client does."""

    def __init__(self, kapelle, key, secret):
        self.kapelle, self.key, self.secret, self.count = kapelle, key, secret.encode(), 0

    def signature(self, method, path, query, pieces):
        mac = hmac.new(self.secret, f"{method}\n{HOST}\n{path}\n".encode(), "sha256")
        if pieces:
            mac.update(b"body=")
            for piece in pieces:
                mac.update(piece)
            mac.update(b"&")
        # Last: a body takes its time.
        self.count += 1
        timestamp, cnonce = str(int(time.time())), f"{os.getpid()}-{self.count}"
        quoted = urllib.parse.quote(query, safe="-_.~")
        rest = f"cnonce={cnonce}&key={self.key}&query={quoted}&timestamp={timestamp}&version=2"
        mac.update(rest.encode())
        signature = base64.b64encode(mac.digest()).decode()
        return (f"PACKAGIST-HMAC-SHA256 Key={self.key}, Timestamp={timestamp}, Cnonce={cnonce}, Version=2, "
                f"Signature={signature}")

    def send(self, method, path, query="", body=b"", pieces=None, **headers):
        """`pieces`: the escaped body, where it is there already."""
        pieces = pieces or [escaped(chunk) for chunk in chunks(body)]
        headers["Authorization"] = self.signature(method, path, query, pieces)
        headers["Host"] = f"{HOST}:{self.kapelle.port}"
        target = path + (f"?{query}" if query else "")
        answer = ask(self.kapelle.port, method, target, body or None, headers)
        assert answer.status == 200, (answer.status, answer.body[:500])
        return answer.body


def archive(size, version, block):
    """A stored zip of about that size, of blocks of 1 MB."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("composer.json", json.dumps({"name": "acme/large", "version": version}))
        with packed.open("random", "w", force_zip64=True) as entry:
            for _ in range(size >> 20):
                entry.write(block())
    return file.getvalue()


def plain():
    """A block that needs no escapes: the client's side takes minutes otherwise."""
    return base64.b16encode(os.urandom(1 << 19))


def lists(kapelle, client, rounds, count):
    for number in range(count):
        definition = {"name": f"acme/meta-{number}", "version": "1.0.0", "type": "metapackage"}
        body = json.dumps({"repoType": "package", "repoConfig": definition}).encode()
        client.send("POST", "/api/packages/", body=body)
    database = sqlite3.connect(f"file:{kapelle.data}/kapelle.sqlite?mode=ro", uri=True)
    rows = """SELECT json_group_array(json_object('id', id, 'name', name, 'origin', origin, 'kind', kind, 'type',
        repository_type, 'url', repository_url, 'credential', credential_id, 'abandoned', abandoned, 'access',
        suborganization_access, 'definition', json((SELECT json FROM definitions WHERE package_id = packages.id))))
        FROM packages WHERE removed_at IS NULL"""
    ours, floors = [], []
    for _ in range(rounds):
        begun = time.perf_counter()
        body = client.send("GET", "/api/packages/", "limit=10000")
        ours.append(time.perf_counter() - begun)
        assert len(json.loads(body)) == count
        begun = time.perf_counter()
        assert len(database.execute(rows).fetchone()[0]) > 100 * count
        floors.append(time.perf_counter() - begun)
    print(f"list of {count} packages: {middle(ours) * 1e3:.1f} ms, floor {middle(floors) * 1e3:.1f} ms, "
          f"ratio {ratio(ours, floors):.2f}")


def hashing(body, pieces):
    """Processor seconds for the digests that an upload takes; the escaped text is made before."""
    begun = time.process_time()
    mac, sha256, sha1 = hmac.new(b"secret", b"", "sha256"), hashlib.sha256(), hashlib.sha1()
    for piece in pieces:
        mac.update(piece)
    for chunk in chunks(body):
        sha256.update(chunk)
        sha1.update(chunk)
    mac.digest(), sha256.digest(), sha1.digest()
    return time.process_time() - begun


def uploads(kapelle, client, rounds):
    pid, ours, floors = kapelle.process.pid, [], []
    for number in range(rounds):
        body = archive(100 << 20, f"1.0.{number}", lambda: os.urandom(1 << 20))
        pieces = [escaped(chunk) for chunk in chunks(body)]
        before = processor_seconds(pid)[0]
        client.send("POST", "/api/packages/artifacts/", body=body, pieces=pieces)
        ours.append(processor_seconds(pid)[0] - before)
        floors.append(hashing(body, pieces))
    print(f"upload of 100 MB: {middle(ours):.2f} s CPU, digests {middle(floors):.2f} s, ratio {ratio(ours, floors):.2f}; "
          f"memory at most {memory(pid)[1]:.0f} MB")
    client.send("POST", "/api/packages/artifacts/", body=archive(1 << 30, "2.0.0", plain))
    print(f"memory at most after 1 GB as well: {memory(pid)[1]:.0f} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kapelle", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--packages", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kapelle-api-") as folder:
        kapelle = Kapelle(arguments.kapelle, folder, KAPELLE_LIMITS__PACKED="2 GiB")
        setup = kapelle.run("setup", "--organization", "acme")
        client = Client(kapelle, setup["api_key"], setup["api_secret"])
        try:
            kapelle.serve("--no-worker")
            uploads(kapelle, client, arguments.rounds)
            lists(kapelle, client, arguments.rounds * 3, arguments.packages)
        finally:
            kapelle.stop()


if __name__ == "__main__":
    main()
