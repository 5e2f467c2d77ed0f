#!/usr/bin/env python3
"""Shows that every check of trust is guarded by a test: takes each away in a copy, and the test that is named for it must fail.

  scripts/guards.py                 lists the checks and whether each patch still fits
  scripts/guards.py --run [TEXT...] takes them away one at a time (those whose line contains a TEXT); prints a table
  scripts/guards.py --run --write   and puts the table into docs/trust-checks.md

The copy holds the rooms model, document and trust, and the suites that need nothing else, so a round takes seconds. Checks of the
whole program (`program`) run in a copy of everything. Not part of the gate: it takes half an hour. Exit 1 where a patch does not fit,
does not compile, or goes unnoticed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "trust-checks.md"
# Suites that name no program and no room beside those of the copy.
SUITES = ["threats", "trust", "trust_conformance", "trust_tuf"]
ROOMS = ["document", "model", "trust"]
KIT = ["sigstore", "tuf"]


def checks():
    return tomllib.loads((ROOT / "scripts" / "guards.toml").read_text())["check"]


def tracked():
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [name for name in names.decode().split("\0") if name]


def copy(into, small):
    """Copies the sources; the small copy has only what its suites need."""
    shutil.rmtree(into, ignore_errors=True)
    wanted = ("src/", "tests/it/", "manifests/", "Cargo.", "testdata/", "docs/")
    for name in tracked():
        if name.startswith(wanted) and (ROOT / name).is_file():
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
    if not small:
        return
    shutil.rmtree(into / "src" / "cli", ignore_errors=True)
    (into / "src" / "main.rs").unlink()
    rooms = "".join(f"pub mod {room};\n" for room in ROOMS)
    kit = '#[cfg(any(test, feature = "testkit"))]\npub mod testkit;\n'
    (into / "src" / "lib.rs").write_text("//! Cut down.\n#![allow(warnings)]\n" + rooms + kit)
    modules = "".join(f"pub mod {name};\n" for name in KIT)
    (into / "src" / "testkit" / "mod.rs").write_text("//! Cut down.\n" + modules)
    suites = "".join(f"mod {name};\n" for name in SUITES)
    (into / "tests" / "it" / "main.rs").write_text("#![allow(warnings, clippy::all)]\n" + suites)
    manifest = (into / "Cargo.toml").read_text().replace('default-run = "airlift"\n', "")
    (into / "Cargo.toml").write_text(manifest)


class Copies:
    """The two copies, made when they are first asked for."""

    def __init__(self, scratch, target):
        self.scratch, self.target = scratch, target
        self.made = {}

    def of(self, kind):
        small = kind != "program"
        if small not in self.made:
            folder = self.scratch / ("rooms" if small else "program")
            copy(folder, small)
            self.made[small] = folder
            for unbroken in (["--lib", "trust::"], ["--test", "it"]) if small else (["--test", "it", "trust_verbs"],):
                code, output = self.cargo(folder, unbroken)
                if code != 0:
                    sys.exit(f"the copy does not pass its tests unbroken:\n{output[-3000:]}")
        return self.made[small]

    def cargo(self, folder, arguments):
        environment = dict(os.environ, CARGO_TARGET_DIR=str(self.target), RUST_BACKTRACE="0", CARGO_TERM_COLOR="never", CARGO_PROFILE_DEV_DEBUG="0")
        ran = subprocess.run(
            ["cargo", "test", "--quiet", "--offline", *arguments],
            cwd=folder, env=environment, capture_output=True, text=True,
        )
        return ran.returncode, ran.stdout + ran.stderr


def fits(check, folder=ROOT):
    return (folder / check["file"]).read_text().count(check["from"]) == 1


def take_away(check, copies):
    """Returns how the tests took it that the check is gone, in words, and whether that is well."""
    kind, wanted = check["test"].split(" ", 1)
    folder = copies.of(kind)
    path = folder / check["file"]
    whole = path.read_text()
    if not fits(check, folder):
        return "the patch does not fit", False
    path.write_text(whole.replace(check["from"], check["to"]))
    try:
        code, output = copies.cargo(folder, ["--lib", wanted] if kind == "lib" else ["--test", "it", wanted])
    finally:
        path.write_text(whole)
    failed = re.findall(r"^test result: FAILED\. \d+ passed; (\d+) failed", output, re.M)
    if failed:
        return "noticed", True
    if "could not compile" in output:
        return "does not compile: " + re.search(r"^error.*", output, re.M)[0], False
    return ("no test has that name" if "0 passed; 0 failed" in output else "NOT NOTICED"), False


def line(check, told):
    place = next(
        number for number, text in enumerate((ROOT / check["file"]).read_text().splitlines(), 1)
        if check["from"].splitlines()[0] in text
    )
    test = check["test"].split(" ", 1)[1]
    return f"| {check['what']} | {check['rows']} | `{check['file']}:{place}` | `{test}` | {told} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--scratch", type=Path, default=ROOT / "target" / "guards")
    parser.add_argument("--target", type=Path, help="folder for what cargo builds [default: beside the copies]")
    parser.add_argument("text", nargs="*")
    arguments = parser.parse_args()
    chosen = [c for c in checks() if not arguments.text or any(t in str(c.values()) for t in arguments.text)]
    unfit = [c for c in chosen if not fits(c)]
    for check in unfit:
        print(f"does not fit: {check['what']} ({check['file']})")
    if not arguments.run:
        print(f"{len(chosen)} checks, {len(unfit)} whose patch does not fit")
        return bool(unfit)
    copies = Copies(arguments.scratch, arguments.target or arguments.scratch / "target")
    lines, bad = [], 0
    for check in chosen:
        began = time.monotonic()
        told, well = take_away(check, copies)
        bad += not well
        print(f"{told:12} {time.monotonic() - began:5.0f} s  {check['what']}", flush=True)
        if fits(check):
            lines.append(line(check, told))
    print(f"{len(chosen) - bad} of {len(chosen)} checks are guarded")
    if arguments.write:
        head, _ = TABLE.read_text().split("<!-- table -->")
        heading = "| check | threat | place | test | taken away |\n|---|---|---|---|---|\n"
        TABLE.write_text(f"{head}<!-- table -->\n{heading}" + "\n".join(lines) + "\n")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
