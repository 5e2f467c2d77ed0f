#!/usr/bin/env python3
"""Compares the images that `airlift resolve --list` finds in charts with a list of what they really run.

    scripts/recall.py --charts FOLDER --expected FOLDER [--subcharts FOLDER] [--airlift PROGRAM] [--renderer own|helm|both]

The folder of charts holds the wrapper charts at the paths that `expected-images.json` names. The folder of subcharts
holds upstream charts by their name, `NAME/Chart.yaml`, where somebody has brought them: nothing of it is kept. A chart whose
subchart is not at hand must not give a short list: `airlift` has to fail and to name what is missing, and the report says
whether it did. No registry is asked for an image; put charts that would be fetched out of reach with `--retries 0`.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MIRROR = "apiVersion: airlift/v1alpha1\nkind: Mirror\ncharts: [{{ path: chart, set: {values} }}]\nrendering: {{ kubernetes: {kube} }}\n"


def parse():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--charts", required=True, type=Path)
    arguments.add_argument("--expected", required=True, type=Path)
    arguments.add_argument("--subcharts", type=Path)
    arguments.add_argument("--airlift", default="target/release/airlift")
    arguments.add_argument("--renderer", default="own")
    arguments.add_argument("-v", "--verbose", action="store_true", help="name what is missing and what is too much")
    return arguments.parse_args()


def version(chart):
    lines = (chart / "Chart.yaml").read_text().splitlines()
    found = [line.split(":", 1)[1].strip().strip("\"'") for line in lines if line.startswith("version:")]
    return found[0] if found else ""


def place(chart, wanted, subcharts):
    """Puts the subcharts that are at hand under `chart`; returns those that are not, and those in another version."""
    missing, other = [], []
    for sub in wanted:
        source = subcharts / sub["name"] if subcharts else None
        if source is None or not (source / "Chart.yaml").is_file():
            missing.append(f"{sub['name']} {sub['version']}")
            continue
        if version(source).lstrip("v") != sub["version"].lstrip("v"):
            other.append(f"{sub['name']} {version(source)} for {sub['version']}")
        shutil.copytree(source, chart / "charts" / sub["name"], symlinks=False)
    return missing, other


def ask(options, folder, values, kube):
    (folder / "mirror.yaml").write_text(MIRROR.format(values=json.dumps(values), kube=json.dumps(kube)))
    command = [options.airlift, "resolve", "-f", "mirror.yaml", "--list", "-o", "json", "--retries", "0"]
    ran = subprocess.run(command + ["--renderer", options.renderer], cwd=folder, capture_output=True, text=True, check=False)
    document = json.loads(ran.stdout) if ran.stdout.strip() else {}
    return document if document.get("complete") else None, ran.stderr


def measure(options, folder, chart, expected, wanted):
    """Returns one row of the table, and what to say about it."""
    target = folder / "chart"
    shutil.copytree(chart, target)
    missing, other = place(target, wanted, options.subcharts)
    document, said = ask(options, folder, expected.get("valuesSupplied") or {}, options.kube)
    if document is None:
        named = [name for name in missing if name.split()[0] in said]
        broken = [i["reference"] for i in expected["images"] if i.get("invalidReference") and i["reference"] in said]
        if named:
            state = f"fails, names {', '.join(named)}"
        elif broken:
            state = f"fails, refuses {', '.join(broken)}, which is no reference"
        else:
            state = "fails: " + (said.splitlines() or ["?"])[0][:110]
        return state, None, []
    if missing:
        return f"SHORT LIST although {', '.join(missing)} is missing", None, []
    found = {line["name"] for line in document["wanted"]}
    own = not (chart / "templates").is_dir()
    images = [image for image in expected["images"] if image["normalized"] and image["need"] != "helm-test"]
    # What only the wrapper's own templates show cannot be found where those were left out.
    hidden = [i for i in images if own and all("[templates/" in place for place in i["places"])]
    images = [image for image in images if image not in hidden]
    artifacts = {artifact["reference"] for artifact in expected["runtimeArtifacts"]}
    certain = {image["normalized"] for image in images if image["confidence"] == "certain"}
    known = {image["normalized"] for image in expected["images"] if image["normalized"]} | artifacts
    row = (len(certain & found), len(certain), len(found & known), len(found), len(document["undecided"]), len(hidden))
    told = [f"missing {name}" for name in sorted(certain - found)] + [f"more    {name}" for name in sorted(found - known)]
    told += [f"undecided {seen['text']}: {seen['spot']['object']} {seen['spot']['path']}" for seen in document["undecided"]]
    return ", ".join(f"with {name}" for name in other), row, told


def main():
    options = parse()
    options.airlift = str(Path(options.airlift).resolve())
    expected = json.loads((options.expected / "expected-images.json").read_text())
    subcharts = json.loads((options.expected / "expected-subcharts.json").read_text())["charts"]
    options.kube = expected["meta"]["kubeVersionUsedForRendering"]
    print(f"{'chart':34} {'recall':>9} {'precision':>10} {'undecided':>10} {'hidden':>7}")
    sums, good = [0] * 6, True
    for name, entry in sorted(expected["charts"].items()):
        chart = options.charts / entry["directory"] / "chart"
        with tempfile.TemporaryDirectory() as folder:
            state, row, told = measure(options, Path(folder), chart, entry, subcharts.get(name, []))
        if row is None:
            good &= state.startswith("fails")
            print(f"{name:34} {state}")
            continue
        sums = [a + b for a, b in zip(sums, row)]
        print(f"{name:34} {row[0]:4}/{row[1]:<4} {row[2]:5}/{row[3]:<4} {row[4]:10} {row[5]:7}  {state}".rstrip())
        for line in told if options.verbose else []:
            print(f"    {line}")
    share = lambda a, b: f"{100 * a / b:.1f} %" if b else "-"
    print(f"{'all that could be rendered':34} {share(sums[0], sums[1]):>9} {share(sums[2], sums[3]):>10} {sums[4]:10} {sums[5]:7}")
    print("recall: certain images found of those that the chart runs; precision: images known to run of those found;")
    print("hidden: images that only templates show which are not in the folder of charts")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
