#!/usr/bin/env python3
"""Runs commands on disks that are too small: every size from nothing to enough, and too few names for files.

Each run must end well, or say that there is no room (with the folder and the bytes that are available) and show nothing
that is not whole. With more room the same command must end in the bytes of an undisturbed run.

  space.py [CASE...]        every case whose files are local
  space.py --steps 300      finer sizes

Needs root, to mount a tmpfs. Exit: 0 good, 1 a violation, 77 it cannot run here.
"""

import os
import subprocess
import sys
import time

import kill
import world

CASES = ("pack", "pack-whole", "import-layout", "resolve")
PAGE = 4096
FULL = {10, 50}  # README, "Exit numbers": run again; the destination refuses
WORDS = ("no room", "takes no more", "cannot be written", "cannot write", "cannot use", "cannot sync")


class Disk:
    """A tmpfs of its own, from `with` to its end."""

    def __init__(self, place, options):
        self.place, self.options = place, options
        place.mkdir(exist_ok=True)

    def __enter__(self):
        self.mount(self.options)
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "--lazy", str(self.place)], check=False)

    def mount(self, options):
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.place)], check=True)

    def used(self):
        found = os.statvfs(self.place)
        return (found.f_blocks - found.f_bfree) * found.f_frsize, found.f_files - found.f_ffree


def sizes(enough, steps):
    """Sizes from one page to enough: evenly, and every page of the last ones."""
    evenly = {max(1, enough * step // steps // PAGE) for step in range(1, steps + 1)}
    last = {enough // PAGE - n for n in range(24)}
    return [pages * PAGE for pages in sorted(evenly | last) if pages > 0]


def tried(make, disk_folder, options, roomy, good):
    """Runs on a disk with `options`, then with room; returns the first exit number and what is wrong."""
    with Disk(disk_folder, options) as disk:
        case = make()
        case.begin()
        ran = subprocess.run(case.command(), env=case.world.environment, capture_output=True, text=True)
        wrong = []
        if ran.returncode not in FULL | {0}:
            wrong.append(f"exit {ran.returncode}: {ran.stderr.strip()[-500:]}")
        if ran.returncode in FULL and not any(word in ran.stderr for word in WORDS):
            wrong.append(f"it does not say what is lacking: {ran.stderr.strip()[-500:]}")
        wrong += case.violations()
        disk.mount(f"remount,{roomy}")
        return ran.returncode, wrong + kill.again(case, good)


def sweep(name, make, folder, steps):
    roomy = "size=200m,nr_inodes=10000"
    with Disk(folder, roomy) as disk:
        case = make()
        case.begin()
        subprocess.run(case.command(), env=case.world.environment, check=True, capture_output=True)
        good, (space, names) = case.portrait(), disk.used()
    began, ends, failed = time.monotonic(), {}, False
    disks = [f"size={size}" for size in sizes(space + 16 * PAGE, steps)] + [f"nr_inodes={n}" for n in range(2, names + 4)]
    for options in disks:
        code, wrong = tried(make, folder, options, roomy, good)
        ends[code] = ends.get(code, 0) + 1
        for what in wrong:
            failed = True
            print(f"  VIOLATION with {options}: {what}", flush=True)
    told = ", ".join(f"{count} with exit {code}" for code, count in sorted(ends.items()))
    print(f"{name}: {len(disks)} disks: {told}; {time.monotonic() - began:.0f} s", flush=True)
    return failed


def main():
    parser = world.options(__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--steps", type=int, default=60)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("SKIPPED: only root may mount a small disk")
        return 77
    failed = False
    with world.World(arguments.airlift) as ours:
        for name in arguments.cases or CASES:
            folder = ours.folder / "disk"
            failed |= sweep(name, lambda: ours.cases()[name](ours, folder / "place"), folder, arguments.steps)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
