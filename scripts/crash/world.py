"""What the crash scripts work with: a small registry, and the commands that are disturbed.

A `Case` is one command with the folder that it fills. It knows what may stand there at any moment (`violations`) and
what must stand there in the end (`portrait`). Another command is added by another subclass, or tried at once with
`--in FOLDER -- COMMAND...`: then all files of the folder are its state.
"""

import argparse
import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent.parent
OCI = "application/vnd.oci.image."
MANIFEST, CONFIG, TAR = OCI + "manifest.v1+json", OCI + "config.v1+json", OCI + "layer.v1.tar"
INDEX = OCI + "index.v1+json"


def options(text):
    """A parser of command lines with what all of these scripts take."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--airlift", default=str(SCRIPTS.parent / "target/release/airlift"))
    return parser


def options_at_calls(text):
    """The same for those that disturb numbered calls of cases."""
    parser = options(text)
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--offset", type=int, default=0)
    return parser


def noise(seed, size):
    return hashlib.shake_128(seed.encode()).digest(size)


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def make_layout(folder):
    """Three images: a layer that all share, one of two chunks, one that is compressed while it is packed, a small one."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(media_type, data):
        (blobs / digest(data)[7:]).write_bytes(data)
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    text = b"".join(b"%08d the same line again and again\n" % n for n in range(150_000))
    own = {
        "one": put(TAR + "+gzip", noise("one", 6_000_000)),
        "two": put(TAR, text + noise("two", 600_000)),
        "three": put(TAR + "+gzip", noise("three", 20_000)),
    }
    shared = put(TAR + "+gzip", noise("shared", 30_000))
    listed = []
    for name, layer in own.items():
        config = put(CONFIG, json.dumps({"architecture": "amd64", "os": "linux", "of": name}).encode())
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [shared, layer]}
        entry = put(MANIFEST, json.dumps(manifest).encode())
        listed.append(entry | {"annotations": {"org.opencontainers.image.ref.name": f"crash/{name}:1"}})
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": listed}))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class World:
    """A registry with images in a folder of its own; everything goes away at the end of the `with`."""

    def __init__(self, program):
        self.program = str(Path(program).resolve())
        self.folder = Path(tempfile.mkdtemp(prefix="airlift-crash-"))
        self.servers = []
        self.host = self.start("upstream")
        self.references = [f"{self.host}/crash/{name}:1" for name in ("one", "two", "three")]
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder / "home"), "RUST_BACKTRACE": "0"}

    def start(self, name):
        folder = self.folder / name
        folder.mkdir()
        if name == "upstream":
            make_layout(self.folder / "images")
            seed = [SCRIPTS / "make-images.py", "seed", self.folder / "images", folder / "storage"]
            subprocess.run(seed, check=True)
        host = f"127.0.0.1:{free_port()}"
        (folder / "config.yaml").write_text(
            f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}/storage}}}}\nhttp: {{addr: '{host}'}}\n"
        )
        with open(folder / "log", "wb") as log:
            server = subprocess.Popen(["docker-registry", "serve", str(folder / "config.yaml")], stdout=log, stderr=log)
        self.servers.append(server)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", int(host.split(":")[1]))) == 0:
                    return host
            time.sleep(0.05)
        raise SystemExit(f"docker-registry did not start: {(folder / 'log').read_text()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.terminate()
            server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def airlift(self, *arguments):
        return [self.program, *map(str, arguments)]

    def pack(self, out, *more):
        quiet = ["--plain-http", "--no-progress", "--allow-unsigned", "**"]
        return self.airlift("pack", *self.references, "-o", out, *quiet, *more)

    def bundle(self):
        """A finished bundle, made once."""
        place = self.folder / "bundle"
        if not place.exists():
            place.mkdir()
            subprocess.run(self.pack(place / "b", "--volume-size", "5MB"), check=True, env=self.environment, capture_output=True)
        return place

    def cases(self):
        """By name; those of networks of their own are made when they are asked for."""
        return {"pack": Pack, "pack-whole": PackWhole, "import-layout": ImportLayout, "import-registry": ImportRegistry, "resolve": Resolve, "verify": Verify}


class Case:
    """One command. `place` is an empty folder, on whatever file system is tried."""

    sockets = False

    def __init__(self, world, place):
        self.world, self.place = world, Path(place)

    def begin(self):
        """Makes the place as it is before the first run."""
        empty(self.place)

    def command(self):
        raise NotImplementedError

    def violations(self):
        """What stands there now and never may."""
        raise NotImplementedError

    def portrait(self):
        """What stands there after a good end, by name."""
        return digests(self.place)

    def unfinished(self):
        """Files that only a run in progress may have."""
        marks = (".partial", ".journal")
        return [name for name in digests(self.place) if name.endswith(marks) or ".airlift-" in name or ".incoming-" in name]


def empty(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name == "lost+found":
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def digests(folder):
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file() and "lost+found" not in path.parts:
            found[str(path.relative_to(folder))] = digest(path.read_bytes())
    return found


class Pack(Case):
    """A bundle of several volumes, with a part that is compressed while it is packed."""

    more = ("--volume-size", "5MB", "-j", "2")
    first = "b.001.airlift"

    def __init__(self, world, place):
        super().__init__(world, place)
        good = world.folder / f"good-{type(self).__name__}"
        if not good.exists():
            good.mkdir()
            subprocess.run(world.pack(good / "b", *self.more), check=True, env=world.environment, capture_output=True)
        self.good = digests(good)

    def command(self):
        return self.world.pack(self.place / "b", *self.more)

    def violations(self):
        found = {name: value for name, value in digests(self.place).items() if name.endswith(".airlift")}
        wrong = [f"{name} has its final name and differs" for name, value in found.items() if self.good.get(name) != value]
        if self.first in found and found != self.good:
            wrong.append("volume 1 has its final name, and the set is not whole")
        return wrong


class PackWhole(Pack):
    """A bundle of one file."""

    more = ("-j", "2")
    first = "b.airlift"


class ImportLayout(Case):
    """A bundle into an OCI layout, with a receipt."""

    def command(self):
        bundle = sorted(self.world.bundle().glob("b.*.airlift"))
        to = ["--to", f"oci:{self.place / 'layout'}", "--receipt", self.place / "receipt.json"]
        return self.world.airlift("import", *bundle, *to, "--allow-unsigned-bundle", "--no-progress")

    def violations(self):
        return layout_violations(self.place / "layout") + json_violations(self.place / "receipt.json")

    def portrait(self):
        found = digests(self.place)
        found["receipt.json"] = receipt_portrait(self.place / "receipt.json")
        return found


class ImportRegistry(Case):
    """A bundle into a registry. Every place has names of its own there."""

    sockets = True
    hosts = {}
    count = 0

    def begin(self):
        super().begin()
        if self.world not in self.hosts:
            self.hosts[self.world] = self.world.start("destination")
        ImportRegistry.count += 1
        self.prefix = f"p{ImportRegistry.count}"
        self.host = self.hosts[self.world]

    def command(self):
        bundle = sorted(self.world.bundle().glob("b.*.airlift"))
        to = ["--to", f"{self.host}/{self.prefix}", "--receipt", self.place / "receipt.json", "--plain-http"]
        return self.world.airlift("import", *bundle, *to, "--allow-unsigned-bundle", "--no-progress")

    def visible(self):
        """Digest of each tag that can be seen, after everything below it was read."""
        found = {}
        for name in ("one", "two", "three"):
            base = f"http://{self.host}/v2/{self.prefix}/crash/{name}"
            body = fetch(f"{base}/manifests/1")
            if body is None:
                continue
            document = json.loads(body)
            for blob in [document["config"], *document["layers"]]:
                if digest(fetch(f"{base}/blobs/{blob['digest']}") or b"") != blob["digest"]:
                    raise AssertionError(f"{name}:1 is visible and {blob['digest']} is not whole")
            found[name] = digest(body)
        return found

    def violations(self):
        try:
            self.visible()
        except AssertionError as error:
            return [str(error)]
        return json_violations(self.place / "receipt.json")

    def portrait(self):
        return self.visible() | {"left": sorted(set(digests(self.place)) - {"receipt.json"})}


class Resolve(Case):
    """A lock."""

    def command(self):
        mirror = self.world.folder / "mirror.yaml"
        images = ", ".join(f'"{reference}"' for reference in self.world.references)
        mirror.write_text(f"apiVersion: airlift/v1alpha1\nkind: Mirror\nimages: [ {images} ]\n")
        return self.world.airlift("resolve", "-f", mirror, "--lock", self.place / "airlift.lock", "--plain-http", "--no-progress")

    def violations(self):
        return json_violations(self.place / "airlift.lock")


class Verify(Case):
    """A bundle that is looked at; nothing is written."""

    def command(self):
        bundle = sorted(self.world.bundle().glob("b.*.airlift"))
        return self.world.airlift("verify", *bundle, "--allow-unsigned-bundle", "--no-progress")

    def violations(self):
        return [f"{name} was written" for name in digests(self.place)]


class Any(Case):
    """Any command over a copy of a folder; `{}` in it stands for the copy."""

    def __init__(self, world, place, folder, words):
        super().__init__(world, place)
        self.folder, self.words = Path(folder), words

    def begin(self):
        super().begin()
        shutil.copytree(self.folder, self.place, dirs_exist_ok=True)

    def command(self):
        return [word.replace("{}", str(self.place)) for word in self.words]

    def violations(self):
        return []


def fetch(url):
    request = urllib.request.Request(url, headers={"Accept": MANIFEST})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read()
    except urllib.error.HTTPError:
        return None


def layout_violations(folder):
    wrong = []
    for path in (folder / "blobs").rglob("*") if folder.exists() else []:
        named = path.is_file() and not path.name.startswith(".")
        if named and digest(path.read_bytes())[7:] != path.name:
            wrong.append(f"{path.name} is not what its name says")
    index = folder / "index.json"
    if not index.exists():
        return wrong
    try:
        listed = json.loads(index.read_bytes())["manifests"]
    except ValueError:
        return wrong + ["index.json is no JSON"]
    for entry in listed:
        wrong += [f"{missing} is missing below an entry of the index" for missing in missing_below(folder, entry)]
    return wrong


def missing_below(folder, entry):
    path = folder / "blobs" / entry["digest"].replace(":", "/")
    if not path.exists():
        return [entry["digest"]]
    if entry["mediaType"] not in (MANIFEST, INDEX):
        return []
    document = json.loads(path.read_bytes())
    below = document.get("manifests", []) + document.get("layers", []) + [document[k] for k in ("config",) if k in document]
    return [missing for child in below for missing in missing_below(folder, child)]


def json_violations(path):
    if not path.exists():
        return []
    try:
        json.loads(path.read_bytes())
        return []
    except ValueError:
        return [f"{path.name} is no JSON"]


def receipt_portrait(path):
    """What does not change with the time of a run, or with what an earlier run had done."""
    receipt = json.loads(path.read_bytes())
    arrived = [(a["source"], a["digest"], "failed" in json.dumps(a["outcome"]).lower()) for a in receipt["artifacts"]]
    return repr((receipt["complete"], receipt["destination"], arrived))
