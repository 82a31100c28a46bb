"""A PostgreSQL server of the benchmarks' own, with its defaults but for shared memory: what is committed is on the disk."""

import os
import pathlib
import pwd
import shutil
import subprocess

from common import free_port

SCRIPT = pathlib.Path(__file__).parent.parent / "scripts/with-postgres"
SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "4GB"}


class Postgres:
    """A server over a folder, which is made if it is not there and stays."""

    def __init__(self, folder):
        self.programs = pathlib.Path(subprocess.run([SCRIPT, "--programs"], check=True, capture_output=True, text=True).stdout.strip())
        self.folder, self.port = pathlib.Path(folder).resolve(), free_port()
        self.owner = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.data = self.folder / "data"
        if not self.data.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            shutil.chown(self.folder, self.owner)
            self.run("initdb", f"--pgdata={self.data}", "--username=kapelle", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8")
        settings = [f"-c {name}={value}" for name, value in SETTINGS.items()]
        options = " ".join([f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1", *settings])
        self.run("pg_ctl", "start", "--wait", f"--pgdata={self.data}", f"--log={self.folder}/server.log", f"--options={options}")
        self.url = self.url_of("postgres")

    def url_of(self, database):
        return f"postgres://kapelle@127.0.0.1:{self.port}/{database}"

    def empty(self, database):
        """The URL of a database that has nothing in it."""
        connection = [f"--host={self.folder}", f"--port={self.port}", "--username=kapelle"]
        self.run("dropdb", "--if-exists", *connection, database)
        self.run("createdb", *connection, database)
        return self.url_of(database)

    def run(self, program, *arguments):
        # The server refuses to run as root.
        as_owner = ["runuser", "-u", self.owner, "--"] if os.geteuid() == 0 else []
        subprocess.run([*as_owner, str(self.programs / program), *arguments], check=True,
                       stdout=subprocess.DEVNULL, cwd=self.folder)

    def stop(self):
        self.run("pg_ctl", "stop", "--wait", "--mode=fast", f"--pgdata={self.data}")
