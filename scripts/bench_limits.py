#!/usr/bin/env python3
"""Measures pack and verify against what the machine itself can do, in the same run, turn by turn.

pack    beside the slowest of: reading the blobs from the registry (curl), SHA-256 on all cores (openssl), writing to the medium with a sync
verify  beside the slower of: reading the medium, SHA-256 on all cores
memory  the largest resident set of each, at each size asked for

A rate is bytes of payload by wall time. Ratios are of medians over the rounds; the goal is 0.9. Read warm, from the page cache.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from bench import HERE, MiB, Registry, run_one

PIECE = b"\xa5" * MiB


def timed(work):
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def sha256_rate(cores):
    """Returns bytes a second of SHA-256 on `cores` cores, in pieces of 16 KiB that stay in the cache."""
    command = ["openssl", "speed", "-mr", "-seconds", "1", "-bytes", "16384", "-evp", "sha256"]
    command += ["-multi", str(cores)] if cores > 1 else []
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.findall(r"^\+F:.*?([\d.]+)$", said, re.M)
    return float(found[-1])


def write_synced(path, size):
    with open(path, "wb", buffering=0) as file:
        for _ in range(size // MiB):
            file.write(PIECE)
        os.fsync(file.fileno())
    path.unlink()


def read_through(path):
    buffer = bytearray(4 * MiB)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


class Limits:
    def __init__(self, arguments, folder, size):
        self.airlift, self.folder, self.cores = os.path.abspath(arguments.airlift), folder, os.cpu_count()
        make, layout = str(HERE / "make-images.py"), folder / "layout"
        subprocess.run([make, arguments.workload, str(layout), *self.shape(arguments.workload, size)], check=True)
        subprocess.run([make, "seed", str(layout), str(folder / "up" / "storage")], check=True)
        names = subprocess.run([make, "names", str(layout)], check=True, capture_output=True, text=True).stdout
        self.images = [line.split()[0] for line in names.splitlines()]
        self.blobs = sorted((layout / "blobs" / "sha256").iterdir(), key=lambda blob: -blob.stat().st_size)
        self.payload = sum(blob.stat().st_size for blob in self.blobs)
        self.rates, self.memory = {}, {}

    @staticmethod
    def shape(workload, size):
        return ["--size", f"{size}GB"] if workload == "giant" else ["--scale", str(size / 10)]

    def note(self, what, rate):
        self.rates.setdefault(what, []).append(rate / 1e6)

    def round(self, registry):
        largest = self.blobs[0]
        url = f"http://{registry.host}/v2/{self.images[0].rsplit(':', 1)[0]}/blobs/sha256:{largest.name}"
        fetch = ["curl", "-sf", "-o", "/dev/null", url]
        self.note("network read", largest.stat().st_size / timed(lambda: subprocess.run(fetch, check=True)))
        self.note("sha256", sha256_rate(self.cores))
        self.note("disk write", self.payload // MiB * MiB / timed(lambda: write_synced(self.folder / "probe", self.payload)))
        store = self.folder / "out"
        store.mkdir()
        references = [f"{registry.host}/{image}" for image in self.images]
        quiet = ["--plain-http", "--no-progress", "-q"]
        pack = [self.airlift, "pack", *quiet, *references, "--allow-unsigned", "**", "-o", f"{store}/b"]
        self.program("pack", pack)
        bundle = store / "b.airlift"
        self.note("disk read", bundle.stat().st_size / timed(lambda: read_through(bundle)))
        self.program("verify", [self.airlift, "verify", "-q", str(bundle), "--allow-unsigned-bundle"])
        shutil.rmtree(store)

    def program(self, what, command):
        began = time.perf_counter()
        found = run_one(command, dict(os.environ))
        self.note(what, self.payload / (time.perf_counter() - began))
        self.memory[what] = max(self.memory.get(what, 0), found["rss"])

    def show(self):
        middle = {what: statistics.median(rates) for what, rates in self.rates.items()}
        print(f"\n{self.payload / 1e6:.0f} MB, {self.cores} cores")
        for what, rate in middle.items():
            print(f"  {what:14} {rate:8.0f} MB/s   {min(self.rates[what]):.0f}–{max(self.rates[what]):.0f}")
        for what, bounds in (("pack", ["network read", "sha256", "disk write"]), ("verify", ["disk read", "sha256"])):
            slowest = min(bounds, key=middle.get)
            ratio = middle[what] / middle[slowest]
            verdict = "met   " if ratio >= 0.9 else "MISSED"
            print(f"  {verdict}  {what} is {ratio:.2f} of {slowest} (goal 0.90); {self.memory[what] / MiB:.0f} MiB (goal 64)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--airlift", default="target/release/airlift")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workload", choices=["giant", "typical", "small"], default="giant")
    parser.add_argument("--sizes", type=lambda text: [float(size) for size in text.split(",")], default=[1.0], help="in GB: 1,20")
    parser.add_argument("--place", type=Path, default=Path(tempfile.gettempdir()), help="folder of the medium")
    arguments = parser.parse_args()
    for program in ("docker-registry", "openssl", "curl"):
        if not shutil.which(program):
            raise SystemExit(f"{program} is not installed")
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory(prefix="airlift-limits-", dir=arguments.place) as folder:
            limits = Limits(arguments, Path(folder), size)
            registry = Registry(Path(folder) / "up")
            try:
                for _ in range(arguments.rounds):
                    limits.round(registry)
            finally:
                registry.stop()
            limits.show()


if __name__ == "__main__":
    main()
