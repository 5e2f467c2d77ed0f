#!/usr/bin/env python3
"""Measures parity beside par2: the same file, the same numbers of blocks, turn by turn.

A bundle in one file is packed from a registry on loopback. Then `airlift parity` makes 5 parity files over its 100
pieces, and `par2 create` 5 recovery blocks over 100 source blocks; airlift syncs what it wrote, par2 does not. Last,
both repair a burst of 2 % in the middle.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import HERE, Registry

PIECES, PARITY = 100, 5
TARGET = 10


def timed(command, folder):
    """Returns the seconds that a command takes, and its peak memory in MiB."""
    began = time.perf_counter()
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    words = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{command[0]} {command[1]}: exit {child.returncode}\n{words.decode(errors='replace')}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def bundle(airlift, folder, size):
    """Packs one file of about `size` and returns it."""
    make, layout = str(HERE / "make-images.py"), folder / "layout"
    subprocess.run([make, "giant", str(layout), "--size", size], check=True, stdout=sys.stderr)
    subprocess.run([make, "seed", str(layout), str(folder / "up" / "storage")], check=True)
    listing = subprocess.run([make, "names", str(layout)], check=True, capture_output=True, text=True).stdout
    registry = Registry(folder / "up")
    try:
        images = [f"{registry.host}/{line.split()[0]}" for line in listing.splitlines()]
        command = [airlift, "pack", *images, "-o", "b", "--plain-http", "--allow-unsigned", "**"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    finally:
        registry.stop()
    shutil.rmtree(layout)
    shutil.rmtree(folder / "up")
    return folder / "b.airlift"


def damage(source, target):
    """Copies a file and overwrites 2 % in its middle."""
    shutil.copyfile(source, target)
    length = source.stat().st_size
    with open(target, "r+b") as file:
        file.seek(length // 2)
        file.write(b"\xee" * (length // 50))


def works(airlift, file, folder):
    """Returns the commands of both sides, by work; the damaged copy stands in a folder of its own."""
    made, broken = folder / "made", folder / "broken"
    par2 = ["par2", "create", "-q", "-q", f"-b{PIECES}", f"-c{PARITY}", "-n1", f"-B{folder}", str(made / "p.par2"), str(file)]
    ours = [airlift, "parity", str(file), "--unchecked", "--parity", str(PARITY), "-o", str(made)]
    again = [airlift, "repair", str(broken / file.name), *map(str, made.glob("*.airlift")), "-o", str(folder / "fixed")]
    return {"create": {"airlift": ours, "par2": par2}, "repair": {"airlift": again, "par2": ["par2", "repair", "-q", "-q", f"-B{broken}", str(made / "p.par2")]}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--airlift", default="target/release/airlift", help="the program under test")
    parser.add_argument("--size", default="1GB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--disk", type=Path, default=Path("/dev/shm"), help="folder of the files")
    arguments = parser.parse_args()
    airlift = str(Path(shutil.which(arguments.airlift) or arguments.airlift).absolute())
    for program in ("par2", "docker-registry"):
        if not shutil.which(program):
            raise SystemExit(f"{program} is not installed: scripts/install-tools.sh")
    seen = {}
    with tempfile.TemporaryDirectory(prefix="airlift-parity-", dir=arguments.disk) as place:
        folder = Path(place)
        file = bundle(airlift, folder, arguments.size)
        megabytes = file.stat().st_size / 1e6
        for turn in range(arguments.rounds):
            for tool in ("airlift", "par2") if turn % 2 == 0 else ("par2", "airlift"):
                (folder / "made").mkdir()
                (folder / "broken").mkdir()
                seen.setdefault(("create", tool), []).append(timed(works(airlift, file, folder)["create"][tool], folder))
                damage(file, folder / "broken" / file.name)
                seen.setdefault(("repair", tool), []).append(timed(works(airlift, file, folder)["repair"][tool], folder))
                for name in ("made", "broken", "fixed"):
                    shutil.rmtree(folder / name, ignore_errors=True)
    print(f"{megabytes:.0f} MB, {PIECES}+{PARITY}, {arguments.rounds} rounds, median (min-max)")
    medians = {}
    for (work, tool), rounds in seen.items():
        seconds = [took for took, _ in rounds]
        medians[work, tool] = statistics.median(seconds)
        memory = max(rss for _, rss in rounds)
        print(f"  {work} {tool:8} {medians[work, tool]:7.2f} s ({min(seconds):.2f}-{max(seconds):.2f}) {megabytes / medians[work, tool]:7.0f} MB/s {memory:5.0f} MiB")
    ratio = medians["create", "par2"] / medians["create", "airlift"]
    print(f"  {'met   ' if ratio >= TARGET else 'MISSED'} create is {ratio:.1f} times as fast as par2 (target >= {TARGET})")


if __name__ == "__main__":
    main()
