#!/usr/bin/env python3
"""Measures airlift beside its peers: the same images, the same registry on loopback, turn by turn.

Work:  pull   registry -> bundle (airlift) or OCI layout (peers)
       verify bundle or layout, every byte (peer: sha256sum over the blobs)
       push   bundle or layout -> an empty registry
       again  the same push once more, when everything is there
       copy   registry -> an empty registry

Workloads (scripts/make-images.py): typical, giant, small; at a tenth of their size unless --full.
Everything is read warm, from the page cache. airlift syncs what it wrote to the disk, the peers do not.
CPU and memory are those of the tool itself; the registry's are told apart (srv).
"""

import argparse
import json
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MiB = 1 << 20

# What the design promises. (workload, work, column, comparison, bound)
TARGETS = [
    ("giant", "pull", "mb_per_s", ">=", 700, "tmpfs"),
    ("giant", "pull", "cpu_per_gb", "<=", 1.8, "tmpfs"),
    ("giant", "push", "cpu_per_gb", "<=", 1.6, "tmpfs"),
    ("giant", "verify", "mb_per_cpu_s", ">=", 1400, "tmpfs"),
    ("giant", "pull", "rss_mib", "<=", 64, None),
    ("giant", "push", "rss_mib", "<=", 64, None),
    ("typical", "pull", "rss_mib", "<=", 64, None),
    ("typical", "push", "rss_mib", "<=", 64, None),
    ("typical", "pull", "fetched", "<=", 1.005, None),
    ("typical", "pull", "extra_disk", "<=", 0.05, None),
    ("typical", "push", "extra_disk", "<=", 0.001, None),
    ("typical", "again", "writes", "<=", 0, None),
    ("small", "again", "writes", "<=", 0, None),
]


# --- a registry --------------------------------------------------------------------------------------------------


class Registry:
    """A docker-registry on loopback over a folder of its own; counts what it was asked from its access log."""

    def __init__(self, folder, port=None):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.host = f"127.0.0.1:{self.port}"
        config = folder / "config.yaml"
        config.write_text(
            "version: 0.1\nlog: {level: error, accesslog: {disabled: false}}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}/storage}}}}\nhttp: {{addr: '{self.host}'}}\n"
        )
        self.log = folder / "access.log"
        with open(self.log, "wb") as log, open(folder / "errors.log", "wb") as errors:
            self.process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=errors)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit(f"docker-registry did not start: {(folder / 'errors.log').read_text()}")

    def mark(self):
        return self.log.stat().st_size, self.cpu()

    def since(self, mark):
        """Returns requests, those that write, bytes answered to GETs, and CPU seconds since `mark`."""
        with open(self.log) as log:
            log.seek(mark[0])
            found = re.findall(r'"([A-Z]+) \S+ HTTP/[0-9.]+" (\d+) (\d+)', log.read())
        writes = sum(1 for method, _, _ in found if method in ("PUT", "POST", "PATCH", "DELETE"))
        answered = sum(int(size) for method, code, size in found if method == "GET" and code.startswith("2"))
        return {"requests": len(found), "writes": writes, "answered": answered, "server_cpu": self.cpu() - mark[1]}

    def cpu(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


# --- one measured run --------------------------------------------------------------------------------------------


def folder_size(folder):
    """Returns bytes on disk below `folder`, files that vanish meanwhile left out."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_blocks * 512
            except OSError:
                pass
    return total


class DiskWatch(threading.Thread):
    """Remembers the largest size that some folders had together."""

    def __init__(self, folders):
        super().__init__(daemon=True)
        self.folders, self.peak, self.done = folders, 0, threading.Event()

    def sample(self):
        self.peak = max(self.peak, sum(folder_size(folder) for folder in self.folders))

    def run(self):
        while not self.done.wait(0.05):
            self.sample()

    def end(self):
        self.done.set()
        self.join()
        self.sample()
        return self.peak, sum(folder_size(folder) for folder in self.folders)


def process_io(pid):
    """Returns what a process that ended, and was not yet waited for, read and wrote through system calls."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except OSError:
        return 0, 0
    fields = dict(line.split(": ") for line in lines)
    return int(fields["rchar"]), int(fields["wchar"])


def run_one(command, environment):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
    output = process.stdout.read()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    read, written = process_io(process.pid)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        text = output.decode(errors="replace")
        raise RuntimeError(f"exit {process.returncode}: {' '.join(command)[:300]}\n{text[-1500:]}")
    return {"cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss * 1024, "read": read, "written": written}


def measure(commands, watch, environment):
    """Runs commands one after another and returns their sum; `rss` is that of the largest."""
    disk = DiskWatch(watch)
    disk.start()
    began = time.perf_counter()
    try:
        runs = [run_one(command, environment) for command in commands]
        wall = time.perf_counter() - began
    finally:
        peak, final = disk.end()
    total = {key: sum(run[key] for run in runs) for key in ("cpu", "read", "written")}
    return total | {"wall": wall, "rss": max(run["rss"] for run in runs), "peak": peak, "final": final}


# --- the tools: each says which commands do a work, or None where it cannot ------------------------------------------


class Tool:
    def __init__(self, program):
        self.program = program

    def verify(self, store):
        return None


class Airlift(Tool):
    name = "airlift"
    quiet = ["--plain-http", "--no-progress", "-q"]

    def pull(self, images, host, out):
        references = [f"{host}/{image}" for image in images]
        return [[self.program, "pack", *self.quiet, *references, "--allow-unsigned", f"{host}/**", "-o", f"{out}/b"]]

    def verify(self, store):
        return [[self.program, "verify", "-q", f"{store}/b.airlift", "--allow-unsigned-bundle"]]

    def push(self, images, store, host):
        bundle = f"{store}/b.airlift"
        return [[self.program, "import", *self.quiet, bundle, "--allow-unsigned-bundle", "--to", host]]

    def copy(self, images, source, host):
        references = [f"{source}/{image}" for image in images]
        return [[self.program, "sync", *self.quiet, *references, "--allow-unsigned", f"{source}/**", "--to", host]]


class Skopeo(Tool):
    name = "skopeo"

    def _copy(self, source, target):
        flags = ["--quiet", "--all", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"]
        return [self.program, "--insecure-policy", "copy", *flags, source, target]

    def pull(self, images, host, out):
        return [self._copy(f"docker://{host}/{image}", f"oci:{out}/layout:{image}") for image in images]

    def push(self, images, store, host):
        return [self._copy(f"oci:{store}/layout:{image}", f"docker://{host}/{image}") for image in images]

    def copy(self, images, source, host):
        return [self._copy(f"docker://{source}/{image}", f"docker://{host}/{image}") for image in images]


class Crane(Tool):
    name = "crane"

    def pull(self, images, host, out):
        references = [f"{host}/{image}" for image in images]
        return [[self.program, "pull", "--insecure", "--format=oci", *references, f"{out}/layout"]]

    def push(self, images, store, host):
        if len(images) > 1:
            return None  # it pushes a layout as one index, not as its images
        return [[self.program, "push", "--insecure", f"{store}/layout", f"{host}/{images[0]}"]]

    def copy(self, images, source, host):
        return [[self.program, "copy", "--insecure", f"{source}/{image}", f"{host}/{image}"] for image in images]


class Oras(Tool):
    name = "oras"

    @staticmethod
    def _tag(image):
        return re.sub(r"[/:]", "-", image)

    def _copy(self, *arguments):
        return [self.program, "cp", "--no-tty", *arguments]

    def pull(self, images, host, out):
        return [
            self._copy("--from-plain-http", f"{host}/{i}", "--to-oci-layout", f"{out}/layout:{self._tag(i)}") for i in images
        ]

    def push(self, images, store, host):
        return [
            self._copy("--from-oci-layout", f"{store}/layout:{self._tag(i)}", "--to-plain-http", f"{host}/{i}") for i in images
        ]

    def copy(self, images, source, host):
        plain = ["--from-plain-http", "--to-plain-http"]
        return [self._copy(*plain, f"{source}/{image}", f"{host}/{image}") for image in images]


class Sha256sum(Tool):
    """The floor of every check: the digests of the blobs and nothing else."""

    name = "sha256sum"

    def verify(self, store):
        return [[self.program, *sorted(str(p) for p in (store / "blobs" / "sha256").iterdir())]]


def tools(arguments):
    found = []
    for tool, program in ((Airlift, arguments.airlift), (Skopeo, "skopeo"), (Crane, "crane"), (Oras, "oras")):
        path = shutil.which(program)
        if path and (tool is Airlift or arguments.peers is None or tool.name in arguments.peers):
            found.append(tool(os.path.abspath(path)))
        elif not path:
            print(f"{tool.name}: not installed, left out", file=sys.stderr)
    return found


# --- rounds ------------------------------------------------------------------------------------------------------


class Bench:
    def __init__(self, arguments, folder, medium, kind):
        self.arguments, self.folder, self.medium, self.kind = arguments, folder, medium, kind
        self.rows, self.ports = [], 0
        self.scratch = folder / "tmp"
        self.scratch.mkdir(parents=True)
        home = str(self.scratch)  # state that a tool keeps at home counts as extra disk
        self.environment = os.environ | {"TMPDIR": home, "HOME": home, "DOCKER_CONFIG": home, "XDG_CACHE_HOME": home}
        self.layout = folder / "layout"
        self._make()

    def _make(self):
        size = {"full": "10GB", "short": "1GB"} if self.kind == "giant" else {"full": "1GB", "short": "1GB"}
        scale, size = ("1", size["full"]) if self.arguments.full else ("0.1", size["short"])
        if self.arguments.scale:
            scale, size = str(self.arguments.scale), f"{10 * self.arguments.scale}GB"
        make = str(HERE / "make-images.py")
        options = ["--size", size] if self.kind == "giant" else ["--scale", scale]
        subprocess.run([make, self.kind, str(self.layout), *options], check=True, stdout=sys.stderr)
        subprocess.run([make, "seed", str(self.layout), str(self.folder / "up" / "storage")], check=True)
        listing = subprocess.run([make, "names", str(self.layout)], check=True, capture_output=True, text=True).stdout
        self.images = [line.split()[0] for line in listing.splitlines()]
        self.payload = sum(blob.stat().st_size for blob in (self.layout / "blobs" / "sha256").iterdir())

    def run(self):
        source = Registry(self.folder / "up")
        try:
            for turn in range(self.arguments.rounds):
                order = tools(self.arguments)
                order = order[turn % len(order) :] + order[: turn % len(order)]
                for tool in order:
                    self._round(tool, source)
                self._note(Sha256sum("sha256sum"), "verify", Sha256sum("sha256sum").verify(self.layout), [], None, None)
        finally:
            source.stop()
        return self.rows

    def _round(self, tool, source):
        store = self.folder / "out"
        store.mkdir()
        self._note(tool, "pull", tool.pull(self.images, source.host, store), [store], source, store)
        self._note(tool, "verify", tool.verify(store), [], None, None)
        self._into_empty(tool, ["push", "again"], lambda host: tool.push(self.images, store, host))
        shutil.rmtree(store)
        self._into_empty(tool, ["copy"], lambda host: tool.copy(self.images, source.host, host))

    def _into_empty(self, tool, works, commands):
        target = Registry(self.folder / "down")
        try:
            for work in works:
                self._note(tool, work, commands(target.host), [], target, target.folder / "storage")
        finally:
            target.stop()
            shutil.rmtree(target.folder)

    def _note(self, tool, work, commands, watch, registry, product):
        if not commands or (self.arguments.works and work not in self.arguments.works and work != "pull"):
            return
        mark = registry.mark() if registry else None
        try:
            found = measure(commands, [*watch, self.scratch], self.environment)
        except RuntimeError as error:
            print(f"{self.kind} {self.medium} {work} {tool.name}: {error}", file=sys.stderr)
            return
        found |= registry.since(mark) if registry else {}
        # Documents may be compressed; less than this means that images were left out.
        if product and folder_size(product) < self.payload * 0.6:
            print(f"{self.kind} {work} {tool.name}: did not do the whole work, not counted", file=sys.stderr)
            return
        found["extra"] = max(0, found["peak"] - found["final"]) if watch else found["peak"]
        self.rows.append(
            {"workload": self.kind, "medium": self.medium, "work": work, "tool": tool.name, "payload": self.payload, "images": len(self.images)} | found
        )
        for stale in self.scratch.iterdir():
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink()


# --- what it comes to --------------------------------------------------------------------------------------------


def summarise(rows):
    """Returns one record for each workload, medium, work and tool: medians over the rounds."""
    groups = {}
    for row in rows:
        groups.setdefault((row["workload"], row["medium"], row["work"], row["tool"]), []).append(row)
    found = []
    for (workload, medium, work, tool), runs in groups.items():
        middle = lambda key: statistics.median(run.get(key, 0) for run in runs)
        payload, wall, cpu = runs[0]["payload"], middle("wall"), middle("cpu")
        found.append(
            {
                "workload": workload, "medium": medium, "work": work, "tool": tool, "rounds": len(runs),
                "wall": wall, "wall_min": min(r["wall"] for r in runs), "wall_max": max(r["wall"] for r in runs),
                "cpu": cpu, "server_cpu": middle("server_cpu"), "payload": payload,
                "mb_per_s": payload / 1e6 / wall, "cpu_per_gb": cpu / (payload / 1e9), "mb_per_cpu_s": payload / 1e6 / max(cpu, 1e-6),
                "rss_mib": middle("rss") / MiB, "read": middle("read") / payload, "written": middle("written") / payload,
                "requests": middle("requests"), "writes": middle("writes"), "fetched": middle("answered") / payload,
                "requests_per_tag": middle("requests") / runs[0]["images"], "extra_disk": middle("extra") / payload,
            }
        )  # fmt: skip
    return found


COLUMNS = [
    ("tool", "tool", "{}"), ("wall s", "wall", "{:.2f}"), ("min–max", None, ""), ("MB/s", "mb_per_s", "{:.0f}"), ("CPU s", "cpu", "{:.2f}"),
    ("CPU s/GB", "cpu_per_gb", "{:.2f}"), ("srv s", "server_cpu", "{:.2f}"), ("RSS MiB", "rss_mib", "{:.0f}"), ("read ×", "read", "{:.2f}"),
    ("written ×", "written", "{:.2f}"), ("requests", "requests", "{:.0f}"), ("writes", "writes", "{:.0f}"), ("per tag", "requests_per_tag", "{:.1f}"),
    ("fetched ×", "fetched", "{:.3f}"), ("extra disk", "extra_disk", "{:.1%}"), ("wall a/p", None, ""), ("CPU a/p", None, ""),
]  # fmt: skip


def memory_floor():
    """The kernel counts a child's memory from the fork on, so nothing below this program's own can be seen."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def cells(record, own):
    ratio = lambda key: f"{own[key] / record[key]:.2f}" if own and record is not own and record[key] else "-"
    special = {
        "min–max": f"{record['wall_min']:.2f}–{record['wall_max']:.2f}", "wall a/p": ratio("wall"), "CPU a/p": ratio("cpu"),
        "RSS MiB": f"{'<' if record['rss_mib'] <= memory_floor() else ''}{record['rss_mib']:.0f}",
    }  # fmt: skip
    return [special[title] if title in special else form.format(record[key]) for title, key, form in COLUMNS]


def print_tables(found):
    titles = [title for title, _, _ in COLUMNS]
    seen = []
    for record in found:
        block = (record["workload"], record["medium"], record["work"])
        if block in seen:
            continue
        seen.append(block)
        records = [r for r in found if (r["workload"], r["medium"], r["work"]) == block]
        records.sort(key=lambda r: (r["tool"] != "airlift", r["wall"]))
        own = records[0] if records[0]["tool"] == "airlift" else None
        table = [titles] + [cells(r, own) for r in records]
        widths = [max(len(row[n]) for row in table) for n in range(len(titles))]
        print(f"\n{block[0]} on {block[1]}, {block[2]}: {record['payload'] / 1e6:.0f} MB, {record['rounds']} rounds")
        for row in table:
            print("  " + row[0].ljust(widths[0]) + "  " + "  ".join(c.rjust(w) for c, w in zip(row[1:], widths[1:])))


def judge_targets(found):
    """Prints the promises of the design beside what was measured, and returns them as data."""
    judged = []
    for workload, work, column, comparison, bound, only in TARGETS:
        for record in found:
            if (record["workload"], record["work"], record["tool"]) != (workload, work, "airlift") or only not in (None, record["medium"]):
                continue
            value = record[column]
            good = value >= bound if comparison == ">=" else value <= bound
            judged.append({"what": f"{workload} {work} on {record['medium']}: {column}", "value": value, "target": f"{comparison} {bound}", "met": good})
    if judged:
        print("\ntargets")
    for line in judged:
        print(f"  {'met   ' if line['met'] else 'MISSED'}  {line['what']:44} {line['value']:10.3f}  {line['target']}")
    return judged


def measure_program(program):
    """Returns size of the binary and the time of `--help`."""
    path = shutil.which(program)
    if not path:
        return {}
    times = []
    for _ in range(30):
        began = time.perf_counter()
        subprocess.run([path, "--help"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append((time.perf_counter() - began) * 1000)
    found = {"binary_mb": os.stat(path).st_size / 1e6, "help_ms_min": min(times), "help_ms_median": statistics.median(times)}
    print(f"\nbinary {found['binary_mb']:.1f} MB (target <= 25), --help {found['help_ms_min']:.1f} ms fastest, {found['help_ms_median']:.1f} ms median (target <= 10)")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = lambda text: text.split(",")
    parser.add_argument("--airlift", default="target/release/airlift", help="the program under test")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--full", action="store_true", help="workloads at full size (needs 40 GB) instead of a tenth")
    parser.add_argument("--scale", type=float, help="workloads at this share of their size")
    parser.add_argument("--workloads", type=words, default=["typical", "giant", "small"])
    parser.add_argument("--media", type=words, default=["tmpfs", "disk"], help="tmpfs, disk or both")
    parser.add_argument("--works", type=words, help="pull,verify,push,again,copy; pull always runs")
    parser.add_argument("--peers", type=words, help="skopeo,crane,oras; default: those installed")
    parser.add_argument("--disk", type=Path, default=Path(tempfile.gettempdir()), help="folder for the medium disk")
    parser.add_argument("--json", type=Path, help="also write every number to this file")
    arguments = parser.parse_args()

    if not shutil.which("docker-registry"):
        raise SystemExit("docker-registry is not installed: scripts/install-tools.sh")
    rows = []
    for medium in arguments.media:
        place = Path("/dev/shm") if medium == "tmpfs" else arguments.disk
        for kind in arguments.workloads:
            with tempfile.TemporaryDirectory(prefix="airlift-bench-", dir=place) as folder:
                rows += Bench(arguments, Path(folder), medium, kind).run()
    found = summarise(rows)
    print_tables(found)
    program = measure_program(arguments.airlift)
    judged = judge_targets(found)
    if arguments.json:
        report = {"cores": os.cpu_count(), "summary": found, "targets": judged, "program": program, "rounds": rows}
        arguments.json.write_text(json.dumps(report, indent=1))
        print(f"\nwritten: {arguments.json}")


if __name__ == "__main__":
    main()
