"""Repositories to be imported, always the same ones: PHP packages with many releases, some branches, real tree sizes."""

import json
import pathlib
import random
import subprocess

from common import GIT_ENVIRONMENT

#: 2024-01-01; an hour passes between two releases.
FIRST = 1_704_067_200
WORDS = ("request response handler factory builder service container event listener dispatcher option value node tree "
         "parser lexer token stream buffer cache key item pool driver adapter client server route matcher context "
         "command input output format helper validator constraint message translator loader resource path file").split()


def sizes(repositories, versions):
    """How many tags each repository has: one has 600, the others share the rest unevenly."""
    rest = (versions - 600) // (repositories - 1)
    others = [rest + (rest // 2 if number % 2 else -(rest // 2)) for number in range(repositories - 1)]
    return [600, *others]


def make_all(folder, repositories=25, versions=3000):
    """Makes the repositories `lib-00.git`, `lib-01.git` … in a folder; gives their names."""
    folder.mkdir(parents=True)
    names = []
    for number, tags in enumerate(sizes(repositories, versions)):
        names.append(f"lib-{number:02}.git")
        make(folder / names[-1], number, tags)
    return names


def make(path, number, tags):
    """One bare, packed repository with so many tags and a few branches."""
    git(["init", "-q", "--bare", "-b", "main", str(path)])
    git(["fast-import", "--quiet", "--force"], path, Releases(number).stream(tags))
    git(["repack", "-adq"], path)
    git(["pack-refs", "--all"], path)


def add_release(path, number, tag, position):
    """A further commit on `main` with a tag of this name, as a push brings it; gives the commit."""
    releases = Releases(number)
    manifest = releases.manifest(10_000 + position)
    source = f"<?php\n\n// {tag}\n{releases.text(40)}"
    lines = [b"commit refs/heads/main\n", releases.committer(10_000 + position), data(f"Release {tag}"),
             b"from refs/heads/main^0\n", inline("composer.json", manifest), inline("src/Release.php", source),
             f"reset refs/tags/{tag}\nfrom refs/heads/main^0\n\n".encode()]
    git(["fast-import", "--quiet"], path, b"".join(lines))
    return git(["rev-parse", f"refs/tags/{tag}"], path).decode().strip()


def references(path):
    """The distinct commits of all tags and branches, and the number of refs."""
    listed = git(["for-each-ref", "--format=%(objecttype) %(objectname) %(*objectname)", "refs/heads", "refs/tags"], path)
    commits = [line.split(" ")[-1] or line.split(" ")[1] for line in listed.decode().splitlines()]
    return list(dict.fromkeys(commits)), commits


def git(arguments, path=None, stream=None):
    environment = dict(GIT_ENVIRONMENT, GIT_DIR=str(path)) if path else GIT_ENVIRONMENT
    return subprocess.run(["git", *arguments], input=stream, env=environment, check=True, capture_output=True).stdout


def data(text):
    encoded = text.encode()
    return b"data %d\n%b\n" % (len(encoded), encoded)


def inline(path, text):
    return f"M 100644 inline {path}\n".encode() + data(text)


class Releases:
    """The history of one package."""

    def __init__(self, number):
        self.number, self.random = number, random.Random(number)

    def stream(self, tags):
        files, parts = self.first_files(), []
        for position in range(tags):
            changed = self.change(files, position) if position else files
            parts += [b"commit refs/heads/main\n", b"mark :%d\n" % (position + 1), self.committer(position),
                      data(f"Release {self.version(position)}")]
            if position:
                parts.append(b"from :%d\n" % position)
            parts += [inline(path, files[path]) for path in sorted(changed)]
            parts.append(self.tag(position))
            if position % 150 == 149 or position == tags - 1:
                parts.append(f"reset refs/heads/{position // 150}.x\nfrom :{position + 1}\n\n".encode())
        return b"".join(parts)

    def version(self, position):
        return f"{position // 150}.{position % 150 // 10}.{position % 10}"

    def committer(self, position):
        return f"committer Bench <bench@example.org> {FIRST + 3600 * position} +0000\n".encode()

    def tag(self, position):
        name, mark = "v" + self.version(position), position + 1
        if position % 2:
            return f"reset refs/tags/{name}\nfrom :{mark}\n\n".encode()
        tagger = self.committer(position).replace(b"committer", b"tagger")
        return f"tag {name}\nfrom :{mark}\n".encode() + tagger + data(f"Release {name}")

    def first_files(self):
        names = [f"src/{self.word()}/{self.word()}{at}.php" for at in range(38)]
        names += [f"tests/{self.word()}/{self.word()}{at}Test.php" for at in range(14)]
        files = {name: self.source(name) for name in names}
        files["composer.json"] = self.manifest(0)
        files[".gitattributes"] = "/tests export-ignore\n/.gitattributes export-ignore\n/phpunit.xml.dist export-ignore\n"
        files[".gitignore"] = "/vendor/\ncomposer.lock\n"
        for name in ("README.md", "LICENSE", "CHANGELOG.md", "UPGRADE.md", "phpunit.xml.dist"):
            files[name] = self.text(60)
        return files

    def change(self, files, position):
        """A release touches a few files, and every third one its requirements."""
        names = self.random.sample(sorted(name for name in files if name.endswith(".php")), 4)
        for name in names:
            lines = files[name].split("\n")
            at = self.random.randrange(3, len(lines))
            lines[at:at + 3] = self.text(4).split("\n")
            files[name] = "\n".join(lines)
        files["CHANGELOG.md"] = f"* {self.version(position)}: {self.text(2)}\n" + files["CHANGELOG.md"][:12_000]
        names.append("CHANGELOG.md")
        if position % 3 == 0:
            files["composer.json"] = self.manifest(position)
            names.append("composer.json")
        return names

    def word(self):
        return self.random.choice(WORDS).capitalize()

    def text(self, lines):
        return "\n".join(" ".join(self.random.choices(WORDS, k=9)) for _ in range(lines))

    def source(self, name):
        lines = self.random.choice((20, 40, 60, 120, 200))
        return f"<?php\n\nnamespace Acme\\Lib{self.number};\n\nfinal class {pathlib.Path(name).stem}\n{{\n{self.text(lines)}\n}}\n"

    def manifest(self, position):
        space = f"Acme\\Lib{self.number}\\"
        return json.dumps({
            "name": f"acme/lib-{self.number:02}", "type": "library", "license": "MIT",
            "description": "A package whose import is measured", "keywords": ["bench", *WORDS[:3]],
            "homepage": f"https://example.org/lib-{self.number:02}",
            "authors": [{"name": "Bench", "email": "bench@example.org"}],
            "require": {"php": f">=8.{position % 5}", "psr/log": f"^{1 + position % 3}.0", "acme/base": f"^1.{position}",
                        "symfony/polyfill-mbstring": "~1.0", "symfony/service-contracts": "^2.5|^3"},
            "require-dev": {"phpunit/phpunit": f"^{9 + position % 3}.0", "acme/test": f"~1.{position}"},
            "suggest": {"psr/log": "For using the logger"}, "conflict": {"acme/old": "<1.0"},
            "autoload": {"psr-4": {space: "src/"}}, "autoload-dev": {"psr-4": {space + "Tests\\": "tests/"}},
            "extra": {"branch-alias": {"dev-main": f"{position // 150}.x-dev"}},
        }, indent=4) + "\n"

