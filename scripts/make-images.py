#!/usr/bin/env python3
"""Makes container images as OCI layouts, without a network and the same on every run.

  make-images.py world OUT [--size 50MB] [--registry HOST:PORT]
      A few images of every shape that tests need, with files of the Debian packages that are installed:
      gzip and zstd layers, indexes of several platforms, Docker schema 2, shared layers, and a Helm chart.
  make-images.py typical|giant|small OUT [--scale 0.1] [--size 1GB]
      Work for benchmarks, of content that does not compress:
      typical = 120 images of 600 distinct blobs, sizes log-normal (6.8 GB at scale 1);
      giant = one image with one layer of SIZE; small = 500 small images.
  make-images.py seed LAYOUT STORAGE [PREFIX]
      Puts the images of a layout (those whose names begin with PREFIX) into the storage folder of a docker-registry.
      Blobs are hard links where both are on one file system.
  make-images.py names LAYOUT
      Prints name and digest of every image of a layout.

Times, owners and orders are fixed, random content comes from a seed: equal parameters and equal packages give
equal digests. A layout that stands already with the same parameters is kept.
"""

import argparse
import hashlib
import io
import json
import math
import multiprocessing
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

VERSION = 3  # raise it when the same parameters begin to give other bytes
BLOCK = 4 << 20
CREATED = "2020-01-01T00:00:00Z"

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
INDEX, MANIFEST, CONFIG = OCI + "index.v1+json", OCI + "manifest.v1+json", OCI + "config.v1+json"
LAYER = {"gzip": OCI + "layer.v1.tar+gzip", "zstd": OCI + "layer.v1.tar+zstd"}
DOCKER_LIST = DOCKER + "distribution.manifest.list.v2+json"
DOCKER_MANIFEST = DOCKER + "distribution.manifest.v2+json"
DOCKER_CONFIG = DOCKER + "container.image.v1+json"
DOCKER_LAYER = DOCKER + "image.rootfs.diff.tar.gzip"
REF_NAME = "org.opencontainers.image.ref.name"


# --- content ---------------------------------------------------------------------------------------------------


class Noise(io.RawIOBase):
    """Yields `size` bytes that do not compress, made from `seed`."""

    def __init__(self, seed, size):
        self.seed, self.left, self.block, self.number = seed, size, memoryview(b""), 0

    def read(self, want=-1):
        want = self.left if want < 0 else min(want, self.left)
        parts = []
        while want:
            if not self.block:
                name = f"{self.seed}/{self.number}".encode()
                self.block = memoryview(hashlib.shake_128(name).digest(min(self.left, BLOCK)))
                self.number += 1
            part = self.block[:want]
            self.block = self.block[len(part) :]
            parts.append(part)
            want -= len(part)
            self.left -= len(part)
        return parts[0].tobytes() if len(parts) == 1 else b"".join(parts)


class LayerFile:
    """A blob in the making: bytes of a tar go in, compressed bytes reach the disk, both are hashed."""

    def __init__(self, layout, compression, level):
        self.layout, self.compression = layout, compression
        self.path = layout / f".part-{os.getpid()}"
        self.file = open(self.path, "wb")
        self.diff, self.outer, self.size = hashlib.sha256(), hashlib.sha256(), 0
        self.zlib = zlib.compressobj(level, zlib.DEFLATED, 31)
        self.plain = bytearray() if compression == "zstd" else None

    def write(self, data):
        self.diff.update(data)
        if self.plain is not None:
            self.plain += data
        else:
            self._store(self.zlib.compress(data))
        return len(data)

    def _store(self, data):
        self.outer.update(data)
        self.size += len(data)
        self.file.write(data)

    def finish(self):
        if self.plain is not None:
            done = subprocess.run(["zstd", "-q", "-3", "-T1", "-c"], input=self.plain, stdout=subprocess.PIPE, check=True)
            self._store(done.stdout)
        else:
            self._store(self.zlib.flush())
        self.file.close()
        os.replace(self.path, blob_path(self.layout, self.outer.hexdigest()))
        return {
            "mediaType": LAYER[self.compression],
            "digest": "sha256:" + self.outer.hexdigest(),
            "size": self.size,
            "diff": "sha256:" + self.diff.hexdigest(),
        }


def member(name, size=0, kind=tarfile.REGTYPE, mode=0o644, target=""):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.mode, info.linkname = size, kind, mode, target
    return info


def add_file(tar, path, name):
    """Adds a file of this machine with its mode, and nothing else of the machine."""
    if path.is_symlink():
        tar.addfile(member(name, kind=tarfile.SYMTYPE, mode=0o777, target=os.readlink(path)))
    elif path.is_file():
        with open(path, "rb") as file:
            tar.addfile(member(name, os.fstat(file.fileno()).st_size, mode=path.stat().st_mode & 0o777), file)


def make_layer(spec):
    """Writes one layer. `spec`: layout, compression, level, and of what: files, text {name: content}, noise (seed, size)."""
    sink = LayerFile(Path(spec["layout"]), spec.get("compression", "gzip"), spec.get("level", 6))
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.GNU_FORMAT, bufsize=1 << 20, copybufsize=1 << 20) as tar:
        for path in spec.get("files", []):
            add_file(tar, Path(path), path.lstrip("/"))
        for name, text in spec.get("text", {}).items():
            tar.addfile(member(name, len(text)), io.BytesIO(text.encode()))
        if "noise" in spec:
            seed, size = spec["noise"]
            tar.addfile(member(f"data/{seed}.bin".replace(":", "-"), size), Noise(seed, size))
    return sink.finish()


def package_files(names):
    """Returns the files of installed packages, sorted; of those packages that are there."""
    found = set()
    for name in names:
        listing = subprocess.run(["dpkg-query", "-L", name], capture_output=True, text=True)
        found.update(line for line in listing.stdout.splitlines() if Path(line).is_symlink() or Path(line).is_file())
    return sorted(found)


def files_up_to(size, roots=("/usr/share", "/usr/lib")):
    """Returns files of this machine with about `size` bytes in all, in a fixed order, and what is lacking to `size`."""
    chosen = []
    for root in roots:
        for folder, below, names in os.walk(root):
            below.sort()
            for name in sorted(names):
                path = Path(folder, name)
                if path.is_symlink() or not path.is_file() or not os.access(path, os.R_OK):
                    continue
                if path.stat().st_size > size:
                    return chosen, size
                chosen.append(str(path))
                size -= path.stat().st_size
    return chosen, size


# --- layout ----------------------------------------------------------------------------------------------------


def blob_path(layout, digest):
    return Path(layout) / "blobs" / "sha256" / digest.removeprefix("sha256:")


def put_json(layout, media_type, value):
    data = json.dumps(value, separators=(",", ":"), sort_keys=False).encode()
    digest = hashlib.sha256(data).hexdigest()
    blob_path(layout, digest).write_bytes(data)
    return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data)}


def bare(descriptor, media_type=None):
    return {"mediaType": media_type or descriptor["mediaType"], "digest": descriptor["digest"], "size": descriptor["size"]}


def put_image(layout, layers, platform=("linux", "amd64"), docker=False, labels=None):
    """Writes config and manifest over `layers` and returns the manifest's descriptor with its platform."""
    config = {
        "created": CREATED,
        "architecture": platform[1],
        "os": platform[0],
        "config": {"Cmd": ["/bin/sh"], "Labels": labels or {}},
        "rootfs": {"type": "layers", "diff_ids": [layer["diff"] for layer in layers]},
        "history": [{"created": CREATED, "created_by": f"layer {n}"} for n, _ in enumerate(layers)],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST if docker else MANIFEST,
        "config": put_json(layout, DOCKER_CONFIG if docker else CONFIG, config),
        "layers": [bare(layer, DOCKER_LAYER if docker else None) for layer in layers],
    }
    descriptor = put_json(layout, manifest["mediaType"], manifest)
    return descriptor | {"platform": {"architecture": platform[1], "os": platform[0]}}


def put_index(layout, manifests, docker=False):
    media_type = DOCKER_LIST if docker else INDEX
    return put_json(layout, media_type, {"schemaVersion": 2, "mediaType": media_type, "manifests": manifests})


def put_provenance(layout, subject):
    """Writes an attestation manifest as builders add them to an index: platform unknown, found by annotation."""
    statement = {"_type": "https://in-toto.io/Statement/v0.1", "subject": [], "predicateType": "https://slsa.dev/provenance/v0.2"}
    layer = put_json(layout, "application/vnd.in-toto+json", statement)
    config = {"architecture": "unknown", "os": "unknown", "config": {}, "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": put_json(layout, CONFIG, config), "layers": [layer]}
    notes = {"vnd.docker.reference.digest": subject["digest"], "vnd.docker.reference.type": "attestation-manifest"}
    platform = {"architecture": "unknown", "os": "unknown"}
    return put_json(layout, MANIFEST, manifest) | {"annotations": notes, "platform": platform}


def put_layout(layout, images):
    """Writes what makes a folder of blobs a layout. `images`: {name: descriptor}."""
    named = [bare(found) | {"annotations": {REF_NAME: name}} for name, found in sorted(images.items())]
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": named}))


def named_images(layout):
    index = json.loads((Path(layout) / "index.json").read_text())
    return {entry["annotations"][REF_NAME]: entry for entry in index["manifests"]}


# --- what is made ----------------------------------------------------------------------------------------------

PARTS = {
    "base": ["base-files", "bash", "coreutils", "libc6", "sed", "grep"],
    "runtime": ["perl-base", "openssl", "libssl3", "libssl3t64"],
    "app": ["zstd", "tar", "gzip", "xz-utils"],
}


def make_world(layout, workers, arguments):
    """One image of every shape. Names are those that scripts/real-parts.sh uses."""
    layer = lambda **spec: {"layout": str(layout), **spec}
    files, lacking = files_up_to(arguments.size)
    specs = {
        "base": layer(files=package_files(PARTS["base"]), text={"etc/made-by": "make-images\n"}),
        "base-arm": layer(text={"etc/made-by": "make-images arm64\n"}, noise=("arm64", 300_000)),
        "runtime": layer(files=package_files(PARTS["runtime"]), noise=("runtime", 50_000)),
        "app": layer(files=package_files(PARTS["app"]), text={"app/version": "1.0\n"}),
        "app-zstd": layer(compression="zstd", files=package_files(PARTS["app"]), text={"app/version": "1.1\n"}),
        "old": layer(text={"app/version": "old\n"}, noise=("old", 200_000)),
        "big": layer(level=1, files=files, noise=("big", lacking)),
        "plain": layer(text={"app/unsigned": "yes\n"}, noise=("plain", 100_000)),
    }
    made = dict(zip(specs, workers.map(make_layer, specs.values(), chunksize=1)))
    put = lambda *names, **how: put_image(layout, [made[name] for name in names], **how)
    arm = ("linux", "arm64")
    app = put("base", "runtime", "app")
    images = {
        "library/base:12": put_index(layout, [put("base"), put("base-arm", platform=arm)]),
        "team/app:1.0": app,
        "team/app:1.1": put("base", "runtime", "app-zstd"),
        "team/attested:1.0": put_index(layout, [app, put_provenance(layout, app)]),
        "team/legacy:2.0": put("base", "old", docker=True),
        "team/legacy-list:2.0": put_index(
            layout, [put("base", "old", docker=True), put("base-arm", "old", platform=arm, docker=True)], docker=True
        ),
        "team/big:1.0": put("base", "big"),
        "team/unsigned:1.0": put("plain"),
    }
    make_chart(layout / "charts", arguments.registry)
    return images


def make_chart(folder, registry):
    """Writes a Helm chart that runs two images of the world, as the archive that `helm push` takes."""
    folder.mkdir()
    deployment = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers:
        - name: prepare
          image: REGISTRY/library/base:12
      containers:
        - name: web
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
""".replace("REGISTRY", registry)
    files = {
        "Chart.yaml": "apiVersion: v2\nname: web\nversion: 0.3.0\nappVersion: \"1.0\"\ndescription: A chart for tests.\n",
        "values.yaml": f"image:\n  repository: {registry}/team/app\n  tag: \"1.0\"\n",
        "templates/deployment.yaml": deployment,
    }
    packed = zlib.compressobj(6, zlib.DEFLATED, 31)
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, text in files.items():
            tar.addfile(member("web/" + name, len(text)), io.BytesIO(text.encode()))
    (folder / "web-0.3.0.tgz").write_bytes(packed.compress(plain.getvalue()) + packed.flush())


def noise_layers(layout, workers, sizes):
    specs = [{"layout": str(layout), "level": 0, "noise": (seed, size)} for seed, size in sizes]
    order = sorted(range(len(specs)), key=lambda n: -specs[n]["noise"][1])  # the largest first keeps all cores busy
    made = workers.map(make_layer, [specs[n] for n in order], chunksize=1)
    return [layer for _, layer in sorted(zip(order, made))]


def make_typical(layout, workers, arguments):
    """120 images: one of 8 bases, one of 12 runtimes, 3 or 4 layers of their own; 480 layers and 120 configs."""
    dice = random.Random(20200101)
    size = lambda: int(min(max(dice.lognormvariate(math.log(6e6), 1.3), 2e3), 1.5e9) * arguments.scale)
    layers = noise_layers(layout, workers, [(f"typical-{n}", size()) for n in range(480)])
    shared, own = layers[:20], iter(layers[20:])
    images = {}
    for n in range(120):
        parts = [shared[n % 8], shared[8 + n % 12]] + [next(own) for _ in range(3 if n % 6 == 5 else 4)]
        images[f"bench/typical-{n:03}:1.{n}"] = put_image(layout, parts, labels={"n": str(n)})
    return images


def make_giant(layout, workers, arguments):
    layers = noise_layers(layout, workers, [("giant-base", 1_000_000), ("giant", arguments.size)])
    return {"bench/giant:1.0": put_image(layout, layers)}


def make_small(layout, workers, arguments):
    """500 images in 50 repositories: a base that all share and 2 to 40 KB of their own."""
    count = max(1, round(500 * arguments.scale))
    dice = random.Random(500)
    layers = noise_layers(layout, workers, [("small-base", 30_000)] + [(f"small-{n}", dice.randrange(2_000, 40_000)) for n in range(count)])
    return {
        f"bench/small-{n % 50:02}:{n // 50}": put_image(layout, [layers[0], layers[n + 1]], labels={"n": str(n)})
        for n in range(count)
    }


MAKERS = {"world": make_world, "typical": make_typical, "giant": make_giant, "small": make_small}


def parameters(arguments):
    """What decides the bytes of a layout; for `world` the versions of the packages do too."""
    chosen = {"version": VERSION, "kind": arguments.kind, "scale": arguments.scale, "size": arguments.size}
    if arguments.kind == "world":
        ask = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *sum(PARTS.values(), [])]
        chosen |= {"registry": arguments.registry, "packages": subprocess.run(ask, capture_output=True, text=True).stdout}
    return chosen


def make(arguments):
    out, stamp = arguments.out, parameters(arguments)
    marker = out / ".made.json"
    if marker.is_file() and json.loads(marker.read_text()) == stamp:
        print(f"{out}: kept, it was made with the same parameters")
        return
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "blobs" / "sha256").mkdir(parents=True)
    with multiprocessing.Pool() as workers:
        put_layout(part, MAKERS[arguments.kind](part, workers, arguments))
    (part / ".made.json").write_text(json.dumps(stamp))
    shutil.rmtree(out, ignore_errors=True)
    part.rename(out)
    blobs = list((out / "blobs" / "sha256").iterdir())
    total = sum(blob.stat().st_size for blob in blobs)
    index = hashlib.sha256((out / "index.json").read_bytes()).hexdigest()
    print(f"{out}: {len(named_images(out))} images, {len(blobs)} blobs, {total / 1e6:.1f} MB, index sha256:{index}")


# --- a registry's storage --------------------------------------------------------------------------------------


def link(path, digest):
    path.mkdir(parents=True, exist_ok=True)
    (path / "link").write_text(digest)


def place_blob(layout, storage, digest):
    target = storage / "blobs" / "sha256" / digest.split(":")[1][:2] / digest.split(":")[1] / "data"
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(blob_path(layout, digest), target)
    except OSError:
        shutil.copyfile(blob_path(layout, digest), target)


def place_document(layout, storage, repository, descriptor):
    """Makes a manifest or index, and everything below it, part of a repository."""
    hexes = lambda digest: digest.replace(":", "/")
    place_blob(layout, storage, descriptor["digest"])
    link(repository / "_manifests" / "revisions" / hexes(descriptor["digest"]), descriptor["digest"])
    document = json.loads(blob_path(layout, descriptor["digest"]).read_text())
    for child in document.get("manifests", []):
        place_document(layout, storage, repository, child)
    for blob in document.get("layers", []) + [document[key] for key in ("config",) if key in document]:
        place_blob(layout, storage, blob["digest"])
        link(repository / "_layers" / hexes(blob["digest"]), blob["digest"])


def seed(layout, storage, prefix):
    storage = storage / "docker" / "registry" / "v2"
    for name, descriptor in named_images(layout).items():
        if not name.startswith(prefix):
            continue
        path, tag = name.rsplit(":", 1)
        repository = storage / "repositories" / path
        place_document(layout, storage, repository, descriptor)
        tags = repository / "_manifests" / "tags" / tag
        link(tags / "current", descriptor["digest"])
        link(tags / "index" / descriptor["digest"].replace(":", "/"), descriptor["digest"])


# --- command line ----------------------------------------------------------------------------------------------


def size_of(text):
    found = re.fullmatch(r"([0-9.]+)\s*([kMG]?)B?", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write it like 50MB or 1GB")
    return int(float(found[1]) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[found[2]])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="kind", required=True)
    for kind in MAKERS:
        verb = verbs.add_parser(kind)
        verb.add_argument("out", type=Path)
        verb.add_argument("--scale", type=float, default=1.0)
        verb.add_argument("--size", type=size_of, default=size_of("50MB" if kind == "world" else "1GB"))
        verb.add_argument("--registry", default="registry.example")
    verb = verbs.add_parser("seed")
    verb.add_argument("layout", type=Path)
    verb.add_argument("storage", type=Path)
    verb.add_argument("prefix", nargs="?", default="")
    verbs.add_parser("names").add_argument("layout", type=Path)
    arguments = parser.parse_args()
    if arguments.kind == "seed":
        seed(arguments.layout, arguments.storage, arguments.prefix)
    elif arguments.kind == "names":
        for name, descriptor in named_images(arguments.layout).items():
            print(name, descriptor["digest"])
    else:
        make(arguments)


if __name__ == "__main__":
    sys.exit(main())
