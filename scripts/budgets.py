#!/usr/bin/env python3
"""Measures the sources against the budgets of the project and fails when one is broken.

A budget is a promise to the reader of the code: how long a function, a file or a port may be before somebody
has to ask which two things it wants to be. `scripts/budgets.py -v` names the longest of each.
"""

import re
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS_BEGIN = "\n#[cfg(test)]\nmod tests"

FUNCTION_CEILING, FUNCTION_MEDIAN, FUNCTION_TENTH = 60, 9, 40
FILE_CEILING, TRAIT_CEILING, PARAMETER_CEILING = 500, 4, 5
# The rule is 0.8. The first version stands lower, and the floor may only rise until it is there.
TEST_RATIO, TEST_FLOOR = 0.8, 0.55

TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*)
      | (?P<block>/\*.*?\*/)
      | (?P<raw>\bb?r(?P<hashes>\#+)".*?"(?P=hashes))
      | (?P<plain>\bb?r"[^"]*")
      | (?P<string>b?"(?:\\.|[^"\\])*")
      | (?P<char>b?'(?:\\(?:u\{[0-9a-fA-F]+\}|x[0-9a-fA-F]{2}|.)|[^'\\\n])')
    """,
    re.S | re.X,
)


def blank(text):
    """Returns `text` with comments and literals blanked, so that braces in it are braces of code."""
    return TOKEN.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def code_lines(text):
    return sum(1 for line in blank_comments(text).splitlines() if line.strip())


def blank_comments(text):
    keep = lambda found: re.sub(r"[^\n]", " ", found[0]) if found["comment"] or found["block"] else found[0]
    return TOKEN.sub(keep, text)


def end_of_block(code, start):
    """Returns where the block ends that opens at or after `start`, or None where a semicolon comes first."""
    depth = 0
    for at in range(start, len(code)):
        if code[at] in "([":
            depth += 1
        elif code[at] in ")]":
            depth -= 1
        elif code[at] == ";" and depth == 0:
            return None
        elif code[at] == "{":
            level = 1
            while level and at + 1 < len(code):
                at += 1
                level += {"{": 1, "}": -1}.get(code[at], 0)
            return at + 1
    return None


def parameters(code, start):
    """Counts the parameters of the function whose name begins at `start`, the receiver left out."""
    at, angle = start, 0
    while code[at] != "(" or angle:  # generics may hold parentheses of their own
        angle += {"<": 1, ">": -1 if code[at - 1] != "-" else 0}.get(code[at], 0)
        at += 1
    depth, parts, part = 0, [], ""
    for at in range(at, len(code)):
        depth += {"(": 1, "[": 1, "{": 1, "<": 1, ")": -1, "]": -1, "}": -1}.get(code[at], 0)
        depth -= code[at] == ">" and code[at - 1] != "-"
        if depth == 0:
            break
        if code[at] == "," and depth == 1:
            parts.append(part)
            part = ""
        else:
            part += code[at]
    names = [p.strip("( \n") for p in parts + [part] if p.strip("( \n")]
    return sum(1 for name in names if not re.match(r"&?\s*('\w+\s+)?(mut\s+)?self\b", name))


class File:
    """One source file, measured without its tests."""

    def __init__(self, path):
        text = path.read_text()
        production, _, tests = text.partition(TESTS_BEGIN)
        self.name = str(path.relative_to(ROOT))
        self.lines, self.tests = code_lines(production), code_lines(tests)
        code, bare = blank(production), blank_comments(production)
        self.functions, self.traits = [], []
        for found in re.finditer(r"\bfn\s+(\w+)", code):
            if (end := end_of_block(code, found.end())) is not None:
                length = sum(1 for line in bare[found.start() : end].splitlines() if line.strip())
                self.functions.append((length, parameters(code, found.end()), f"{self.name}: {found[1]}"))
        for found in re.finditer(r"\btrait\s+(\w+)", code):
            if (end := end_of_block(code, found.end())) is not None:
                methods = len(re.findall(r"\bfn\s+\w+", code[found.end() : end]))
                self.traits.append((methods, f"{self.name}: {found[1]}"))


def main():
    production = [File(p) for p in sorted((ROOT / "src").rglob("*.rs"))]
    outside = [File(p) for p in sorted((ROOT / "tests").rglob("*.rs"))]
    product = [f for f in production if not f.name.startswith("src/testkit/")]
    kit = [f for f in production if f.name.startswith("src/testkit/")]
    functions = sorted((f for file in product for f in file.functions), reverse=True)
    lengths = sorted(f[0] for f in functions)
    files = sorted(((file.lines, file.name) for file in product), reverse=True)
    traits = sorted((t for file in product for t in file.traits), reverse=True)
    many = sorted(((f[1], f[2]) for f in functions), reverse=True)
    lines = sum(f.lines for f in product)
    tests = sum(f.tests for f in production) + sum(f.lines + f.tests for f in outside + kit)
    at = lambda share: lengths[min(len(lengths) - 1, int(len(lengths) * share))]

    rows = [
        ("longest function, lines of code", functions[0][0], FUNCTION_CEILING, [(f[0], f[2]) for f in functions]),
        ("median function", statistics.median(lengths), FUNCTION_MEDIAN, []),
        ("nine of ten functions within", at(0.9), FUNCTION_TENTH, []),
        ("longest file, lines of code", files[0][0], FILE_CEILING, files),
        ("methods of the largest trait", traits[0][0] if traits else 0, TRAIT_CEILING, traits),
        ("parameters of one function", many[0][0], PARAMETER_CEILING, many),
    ]
    passed = True
    for what, value, ceiling, detail in rows:
        good = value <= ceiling
        passed &= good
        print(f"{what:34} {value:7g}  budget ≤ {ceiling:<5} {'ok' if good else 'OVER'}")
        over = [entry for entry in detail if entry[0] > ceiling]
        for size, name in over or (detail[:3] if "-v" in sys.argv else []):
            print(f"    {size:5}  {name}")
    ratio = tests / lines
    passed &= ratio >= TEST_FLOOR
    state = "ok" if ratio >= TEST_RATIO else f"short of the rule, floor {TEST_FLOOR}" if ratio >= TEST_FLOOR else "UNDER"
    print(f"{'tests to code':34} {ratio:7.2f}  budget ≥ {TEST_RATIO:<5} {state}")
    print(f"{len(product)} files, {len(functions)} functions, {lines} lines of code, {tests} of tests")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
