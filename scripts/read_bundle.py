#!/usr/bin/env python3
"""Reads the volumes of a bundle, checks them and writes the OCI layout: read_bundle.py FOLDER VOLUME...

A second reader, written from src/bundle/FORMAT.md alone, with the program `zstd`. It checks all but BLAKE3 (which this language
does not bring); every deviation ends it with exit 1. Of a delta it names each blob that is left out, and its layout lacks.
"""
import hashlib, json, os, struct, subprocess, sys

PROLOGUE, MAGIC, SLOT, TAIL = bytes.fromhex("28b52ffd2000010000"), bytes.fromhex("28b52ffd"), 4096, []

def need(good, what):
    if not good:
        sys.exit("refused: " + what)

def sha256(data):
    return hashlib.sha256(data).digest()

def frame_length(data, at):
    """Length, content size and kind of the data frame at `at`."""
    kind = data[at + 4]
    if kind == 0xC4:
        size, head, tail = struct.unpack_from("<Q", data, at + 6)[0], 14, 4
    elif kind == 0x60:
        size, head, tail = struct.unpack_from("<H", data, at + 5)[0] + 256, 7, 0
    else:
        need(kind in (0x24, 0x64, 0xA4), "frame descriptor %#x" % kind)
        head, tail = 5 + {0x24: 1, 0x64: 2, 0xA4: 4}[kind], 4
        size = int.from_bytes(data[at + 5 : at + head], "little") + (256 if kind == 0x64 else 0)
    end, last = at + head, False
    while not last:
        block = int.from_bytes(data[end : end + 3], "little")
        last, sort, length = block & 1, block >> 1 & 3, block >> 3
        end += 3 + (1 if sort == 1 else length)
        need(end <= len(data), "a frame ends behind its volume")
    return end + tail - at, size, kind

def tar_header(name, size, kind=b"0"):
    number = b"%011o\0" % size if size < 1 << 33 else b"\x80\0\0\0" + size.to_bytes(8, "big")
    h = bytearray(512)
    for at, text in ((0, name[:100]), (100, b"0000644\0"), (108, b"0000000\0"), (116, b"0000000\0"), (124, number),
                     (136, b"00000000001\0"), (148, b" " * 8), (156, kind), (257, b"ustar\x0000")):
        h[at : at + len(text)] = text
    h[148:156] = b"%06o\0 " % sum(h)
    return bytes(h)

def opening(name, size):
    if len(name) <= 100:
        return tar_header(name, size)
    record = b"%d path=%s\n" % (len(name) + 10, name)
    need(len(record) == len(name) + 10, "pax length")
    return tar_header(b"airlift/pax", len(record), b"x") + record.ljust(512, b"\0") + tar_header(name, size)

def read_volume(path, number, first, digests):
    """Checks one volume's own structure; returns its header, its data frames and whether it is the last."""
    data = open(path, "rb").read()
    head = data[17:257]
    need(data[:9] == PROLOGUE and data[9:17] == bytes.fromhex("5a2a4d18f0000000"), "%s: no volume" % path)
    need(head[:8] == b"AIRLIFT\0" and sha256(data[:225]) == data[225:257], "%s: header" % path)
    major, _, kind, incompat = struct.unpack_from("<HHIQ", head, 8)
    need((major, kind, incompat) == (1, 1, int(any(head[152:184]))), "%s: needs a later program" % path)
    num, total, length = struct.unpack_from("<IIQ", head, 96)
    need(num == number and length in (0, len(data)), "%s: is volume %d" % (path, num))
    need(first is None or head[32:96] + head[152:184] == first[32:96] + first[152:184], "%s: foreign volume" % path)
    footer = data[-96:]
    foot_number, flags, table_length, file_length = struct.unpack_from("<IIQQ", footer, 64)
    fits = footer[88:] == b"AIRLVOL\0" and footer[32:64] == head[64:96] and flags in (0, 3)
    need(fits and (file_length, foot_number) == (len(data), number), "%s: footer" % path)
    end, table = len(data) - 96 - table_length - 8, data[len(data) - 96 - table_length : -96]
    need(data[end : end + 8] == b"\x5b\x2a\x4d\x18" + struct.pack("<I", table_length + 96), "%s: trailer" % path)
    need(sha256(head + table + footer[32:]) == footer[:32], "%s: volume digest" % path)
    records = [struct.unpack_from("<B3xIQQII", table, at) for at in range(0, len(table), 64)]
    frames, at, data_end = [], 257, records[-1][3] if flags else end
    while at < data_end:
        need(data[at : at + 4] == MAGIC, "%s: no frame at %d" % (path, at))
        length, size, kind = frame_length(data, at)
        frames.append((data[at : at + length], size, kind, at))
        at += length
    need(at == data_end, "%s: frames end at %d" % (path, at))
    need([r[3:] for r in records if r[0] != 5] == [(f[3], len(f[0]), f[1]) for f in frames if f[2] != 0x60], "%s: table" % path)
    if flags:
        tail = data[data_end:end]
        TAIL.append(struct.unpack_from("<Q", tail, 88)[0])
        body = b"AIRLTAIL" + head[32:96] + struct.pack("<QQ", number, TAIL[0]) + b"".join(digests)
        body += sha256(table[:-64]) + bytes(SLOT)
        need(tail == b"\x5c\x2a\x4d\x18" + struct.pack("<I", len(body)) + body, "%s: tail" % path)
        need(number == total or not total, "%s: number of volumes" % path)
    digests.append(footer[:32])
    return head, frames, bool(flags)

def unpack(frames):
    run = subprocess.run(["zstd", "-dqc"], input=b"".join(f[0] for f in frames), stdout=subprocess.PIPE, check=True)
    need(len(run.stdout) == sum(f[1] for f in frames), "content size")
    return run.stdout

def main(folder, paths):
    first, frames, last, digests = None, [], False, []
    for number, path in enumerate(paths, 1):
        start = open(path, "rb").read(257)
        if last and start[29:33] == b"\2\0\0\0":  # parity is for repairs
            need(sha256(start[:225]) == start[225:] and start[49:113] == first[32:96], "%s: foreign parity" % path)
            continue
        need(not last, "something follows the last volume")
        head, more, last = read_volume(path, number, first, digests)
        first, frames = first or head, frames + more
    need(last, "the last volume is missing")
    plain, at, files = unpack(frames), 0, {}
    while plain[at : at + 512].strip(b"\0"):
        head = plain[at : at + 512]
        if head[156:157] == b"x":
            name, head = plain[at + 512 : at + 1024].split(b"\n")[0].split(b" path=")[1], plain[at + 1024 : at + 1536]
        else:
            name = head[:100].rstrip(b"\0")
        size = int.from_bytes(head[128:136], "big") if head[124] == 0x80 else int(head[124:135], 8)
        expect = opening(name, size)
        need(plain[at : at + len(expect)] == expect and name.decode() not in files, "tar header of %r" % name)
        at += len(expect)
        files[name.decode()] = plain[at : at + size]
        need(not plain[at + size : at + size + -size % 512].strip(b"\0"), "padding")
        at += size + -size % 512
    need(plain[at:] == bytes(1024), "end of the tar stream")
    need(sha256(files["airlift/head.json"]) == first[32:64], "bundle id")
    statement = json.loads(files["airlift/head.json"])
    for doc, data in ((doc, files[doc["name"]]) for doc in statement["documents"]):
        need(len(data) == doc["size"] and doc["digest"] == "sha256:" + sha256(data).hex(), doc["name"])
    base = files.get("airlift/base.json")
    need(first[152:184] == (sha256(base) if base else bytes(32)), "bases")
    listed = files["airlift/inventory"]
    _, short, long = struct.unpack_from("<8sQQ", listed)
    need(listed[:8] == b"AIRLINV\0" and len(listed) == 32 + 48 * short + 80 * long, "inventory")
    blobs, total, at, omitted = 0, 0, 32, []
    for algorithm, width in [("sha256", 32)] * short + [("sha512", 64)] * long:
        digest, size = listed[at : at + width].hex(), struct.unpack_from("<Q", listed, at + width)[0]
        name, flags = "blobs/%s/%s" % (algorithm, digest), listed[at + width + 9]
        data = files.get(name)
        if flags == 4 and base and data is None:
            omitted.append(size)
            print("left out: %s:%s %d" % (algorithm, digest, size))
        else:
            good = not flags and data is not None and len(data) == size
            need(good and hashlib.new(algorithm, data).hexdigest() == digest, digest)
        at, blobs, total = at + width + 16, blobs + 1, total + size
    left = {"blobs": len(omitted), "bytes": sum(omitted)} if base else None
    need((blobs, total, left) == (statement["blobs"], statement["bytes"], statement.get("omitted")), "totals")
    there = sum(name.startswith("blobs/") for name in files)
    need((TAIL, there) == ([total - sum(omitted)], blobs - len(omitted)), "bytes in the tail, or more blobs than are listed")
    for name, data in files.items():
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        open(os.path.join(folder, name), "wb").write(data)

main(sys.argv[1], sys.argv[2:])
