#!/usr/bin/env python3
"""Shows that every check of trust is guarded by a test: takes each away in a copy, and the test that is named for it must fail.

  scripts/guards.py                 lists the checks and whether each patch still fits
  scripts/guards.py --run [TEXT...] takes them away one at a time (those whose line contains a TEXT); prints a table
  scripts/guards.py --run --write   and puts the table into docs/trust-checks.md

All patches go into a copy of the sources at once, each behind a switch (GONE in guards.toml), so it is built once and then run once
for each check with that one switched off, and once with none. `lib` and `suite` run in a copy of the rooms model, document and trust
with the suites that need nothing else; `program` runs in a copy of everything. Not part of the gate: it takes some minutes.
Exit 1 where a patch does not fit, or a check that is away goes unnoticed.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "trust-checks.md"
# Suites that name no program and no room beside those of the copy.
SUITES = ["threats", "trust", "trust_conformance", "trust_tuf"]
ROOMS = ["document", "model", "trust"]
KIT = ["sigstore", "tuf"]
# What the copies ask whether a check is away: the number in a file, read once by each process.
SWITCH = """
/// Returns whether the check of this number is away.
pub fn gone(number: u32) -> bool {
    static GONE: std::sync::LazyLock<u32> = std::sync::LazyLock::new(|| {
        std::fs::read_to_string("PATH").ok().and_then(|text| text.trim().parse().ok()).unwrap_or_default()
    });
    *GONE == number
}
"""


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


class Copy:
    """A copy with all checks behind switches, built."""

    def __init__(self, folder, small, target):
        self.folder, self.switch = folder, folder / "gone"
        copy(folder, small)
        for number, check in enumerate(checks(), 1):
            self._put_behind_switch(number, check)
        with (folder / "src" / "model" / "mod.rs").open("a") as model:
            model.write(SWITCH.replace("PATH", str(self.switch)))
        self.programs = self._build(target, small)
        self.gone(0)
        for kind, program in self.programs.items():
            ran = self._run(program, {"lib": "trust::", "it": "trust"}[kind])
            if ran.returncode != 0:
                sys.exit(f"the copy does not pass its tests with all checks in place:\n{ran.stdout[-3000:]}")

    def _put_behind_switch(self, number, check):
        path = self.folder / check["file"]
        if path.is_file() and fits(check, self.folder):
            text = path.read_text().replace(check["from"], check["to"].replace("GONE", f"crate::model::gone({number})"))
            path.write_text(text)

    def _build(self, target, small):
        command = ["cargo", "test", "--no-run", "--offline", "--message-format=json-render-diagnostics", "--test", "it"]
        environment = dict(os.environ, CARGO_TARGET_DIR=str(target), CARGO_PROFILE_DEV_DEBUG="0")
        built = subprocess.run(command + ["--lib"] * small, cwd=self.folder, env=environment, stdout=subprocess.PIPE, text=True)
        if built.returncode != 0:
            sys.exit("the copy does not compile")
        programs = {}
        for line in built.stdout.splitlines():
            made = json.loads(line)
            if made.get("executable") and made["profile"]["test"]:
                programs["it" if made["target"]["name"] == "it" else "lib"] = made["executable"]
        return programs

    def gone(self, number):
        self.switch.write_text(str(number))

    def _run(self, program, wanted):
        return subprocess.run([program, wanted], cwd=self.folder, capture_output=True, text=True)

    def test(self, kind, wanted):
        return self._run(self.programs["lib" if kind == "lib" else "it"], wanted)


def fits(check, folder=ROOT):
    return (folder / check["file"]).read_text().count(check["from"]) == 1


def take_away(number, check, copy):
    """Returns how the test took it that the check is gone, in words, and whether that is well."""
    kind, wanted = check["test"].split(" ", 1)
    copy.gone(number)
    ran = copy.test(kind, wanted)
    copy.gone(0)
    if re.search(r"^test result: FAILED", ran.stdout, re.M):
        return "noticed", True
    return ("no test has that name" if " 0 passed; 0 failed" in ran.stdout else "NOT NOTICED"), False


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
    target = arguments.target or arguments.scratch / "target"
    copies, lines, bad = {}, [], 0
    for number, check in enumerate(checks(), 1):
        if check not in chosen:
            continue
        name = "program" if check["test"].startswith("program ") else "rooms"
        if name not in copies:
            copies[name] = Copy(arguments.scratch / name, name == "rooms", target)
        told, well = take_away(number, check, copies[name])
        bad += not well
        print(f"{told:12} {check['what']}", flush=True)
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
