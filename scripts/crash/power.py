#!/usr/bin/env python3
"""Cuts the power at every system call that changes the disk, on a real ext4 file system.

The file system lies on a loop device. At the chosen call it is shut down by the ioctl that ext4 has for that: whatever is
not on the disk yet is gone. It is mounted again, as after a power cut; then every final name must verify or be absent, and
the same command must end in the bytes of an undisturbed run.

  power.py [CASE...]           every case whose files are local, every call
  power.py --every 5 pack      every fifth call of one case

Needs root and loop devices; touches only those that it made. Exit: 0 good, 1 a violation, 77 it cannot run here.
"""

import fcntl
import os
import struct
import subprocess
import sys
import time

import kill
import tracer
import world

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
NO_LOG_FLUSH = 2  # not even the journal is written
CASES = ("pack", "pack-whole", "import-layout", "resolve")


class Disk:
    """An ext4 file system of its own, from `with` to its end."""

    def __init__(self, folder, megabytes=160):
        self.image, self.place, self.device = folder / "disk.img", folder / "disk", None
        self.place.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(megabytes << 20)

    def __enter__(self):
        run("mkfs.ext4", "-q", "-F", str(self.image))
        self.device = run("losetup", "--find", "--show", str(self.image)).strip()
        self.mount()
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", str(self.place)], stderr=subprocess.DEVNULL, check=False)
        if self.device:
            subprocess.run(["losetup", "--detach", self.device], check=False)

    def mount(self):
        run("mount", "-t", "ext4", self.device, str(self.place))

    def cut(self):
        """From here on nothing reaches the disk, and every call fails."""
        handle = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(handle)

    def restart(self):
        run("umount", str(self.place))
        self.mount()

    def sync(self):
        run("sync", "--file-system", str(self.place))


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def cut_at(case, disk, number, good):
    case.begin()
    disk.sync()
    plan = tracer.Plan(at=number, before=disk.cut)
    ran = tracer.run(case.command(), plan, environment=case.world.environment)
    if not ran.acted:
        return None, [] if ran.code == 0 else [f"exit {ran.code}: {ran.said[-600:]}"]
    disk.restart()
    return ran.acted[0], case.violations() + kill.again(case, good)


def sweep(case, disk, every, offset):
    calls, good = kill.undisturbed(case)
    cut, wrong = 0, []
    for number in kill.points(len(calls), every, offset):
        call, found = cut_at(case, disk, number, good)
        cut += call is not None
        for what in found:
            wrong.append(what)
            print(f"  VIOLATION at {call or number}: {what}", flush=True)
    return len(calls), cut, wrong


def main():
    arguments = world.options_at_calls(__doc__).parse_args()
    if not tracer.can_run() or os.geteuid() != 0 or not os.path.exists("/dev/loop-control"):
        print("SKIPPED: it needs Linux on x86-64, root and loop devices")
        return 77
    failed = False
    with world.World(arguments.airlift) as ours, Disk(ours.folder) as disk:
        for name in arguments.cases or CASES:
            began = time.monotonic()
            case = ours.cases()[name](ours, disk.place / "place")
            count, cut, wrong = sweep(case, disk, arguments.every, arguments.offset)
            print(f"{name}: {count} calls, power cut at {cut}, {len(wrong)} violations, {time.monotonic() - began:.0f} s", flush=True)
            failed |= bool(wrong)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
