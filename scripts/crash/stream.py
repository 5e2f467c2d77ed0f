#!/usr/bin/env python3
"""Sends a bundle through a pipe, `pack -o - | import -`, and measures both ends.

Peak memory must not grow with the payload, no file may be made, changed or removed at either end, and what arrives must be
what was sent. One run is measured; another is traced with strace.

  stream.py [--size 1GB]       payload of one layer

Exit: 0 good, 1 not, 77 it cannot run here.
"""

import os
import re
import shutil
import subprocess
import sys
import time

import world

LIMIT_MIB = 64
CHANGES = "openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlink,symlinkat,truncate"


def ends(ours, source, target, traces):
    """Starts both ends; returns exit number and rusage of each, and the seconds."""
    traced = lambda name: ["strace", "-f", "-o", str(traces / name), "-e", f"trace={CHANGES}"] if traces else []
    pack = ours.airlift("pack", source, "-o", "-", "--allow-unsigned", "**", "--plain-http", "--no-progress")
    take = ours.airlift("import", "-", "--to", target, "--allow-unsigned-bundle", "--plain-http", "--no-progress")
    began = time.perf_counter()
    first = subprocess.Popen(traced("pack") + pack, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ours.environment)
    second = subprocess.Popen(traced("import") + take, stdin=first.stdout, stdout=subprocess.DEVNULL, env=ours.environment)
    first.stdout.close()
    found = {}
    for name, process in (("pack", first), ("import", second)):
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        found[name] = (process.returncode, usage)
    return found, time.perf_counter() - began


def changed(trace):
    """Returns the calls of a trace that made, changed or removed a file and succeeded."""
    calls = []
    for line in trace.read_text().splitlines():
        opened = re.search(r"\bopen(at)?\(", line)
        writes = re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC)", line)
        if " = -1 " in line or "+++" in line or "---" in line or (opened and not writes):
            continue
        if re.search(r'"/(dev|proc|sys)/', line) or "unfinished" in line or "resumed" in line and not writes:
            continue
        if re.search(r"\d+ +\w+\(", line):
            calls.append(line)
    return calls


def put_giant(ours, size):
    """Puts an image with one layer of `size` beside the others."""
    layout = ours.folder / "giant"
    subprocess.run([world.SCRIPTS / "make-images.py", "giant", layout, "--size", size], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([world.SCRIPTS / "make-images.py", "seed", layout, ours.folder / "upstream" / "storage"], check=True)
    return f"{ours.host}/bench/giant:1.0"


def main():
    parser = world.options(__doc__)
    parser.add_argument("--size", default="1GB")
    arguments = parser.parse_args()
    if not shutil.which("strace"):
        print("SKIPPED: strace is not installed")
        return 77
    wrong = []
    with world.World(arguments.airlift) as ours:
        target = ours.start("destination")
        giant = put_giant(ours, arguments.size)
        found, took = ends(ours, giant, f"{target}/measured", None)
        for name, (code, usage) in found.items():
            mib = usage.ru_maxrss / 1024
            print(f"{name}: exit {code}, peak memory {mib:.0f} MiB, {usage.ru_utime + usage.ru_stime:.1f} s of CPU")
            if code or mib > LIMIT_MIB:
                wrong.append(f"{name}: exit {code}, {mib:.0f} MiB, the limit is {LIMIT_MIB}")
        print(f"{arguments.size} in {took:.1f} s")
        found, _ = ends(ours, ours.references[0], f"{target}/traced", ours.folder)
        wrong += [f"{name}: exit {code}" for name, (code, _) in found.items() if code]
        for name in found:
            wrong += [f"{name} touched a file: {call}" for call in changed(ours.folder / name)]
        for path in ("measured/bench/giant", "traced/crash/one"):
            tag = "1.0" if path.endswith("giant") else "1"
            if world.fetch(f"http://{target}/v2/{path}/manifests/{tag}") is None:
                wrong.append(f"{path} did not arrive")
    print("\n".join(wrong) if wrong else "no file was touched at either end")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
