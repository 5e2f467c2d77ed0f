"""Runs a program and does something to it at one of the system calls that change the disk.

The calls are numbered over all threads in the order in which they begin. At the chosen number the program stands still
before the call is carried out; then it is killed, the call fails, or it is cut short. A seccomp filter stops the program
at these calls only, so a traced run is hardly slower than another. Linux on x86-64; no root needed.
"""

import ctypes
import os
import platform
import re
import signal
import struct
from dataclasses import dataclass, field

# Calls that change a file system. A read that fails is of interest too: `READS` are numbered only when asked for.
WRITES = {
    1: "write", 18: "pwrite64", 20: "writev", 74: "fsync", 75: "fdatasync", 76: "truncate", 77: "ftruncate",
    82: "rename", 83: "mkdir", 84: "rmdir", 86: "link", 87: "unlink", 88: "symlink", 90: "chmod", 91: "fchmod",
    257: "openat", 258: "mkdirat", 263: "unlinkat", 264: "renameat", 265: "linkat", 266: "symlinkat", 268: "fchmodat",
    285: "fallocate", 296: "pwritev", 316: "renameat2", 326: "copy_file_range",
}  # fmt: skip
SOCKETS = {44: "sendto", 46: "sendmsg"}
READS = {0: "read", 17: "pread64", 19: "readv"}
WITH_FD = {"write", "pwrite64", "writev", "pwritev", "read", "pread64", "readv", "fsync", "fdatasync", "ftruncate", "fallocate", "sendto", "sendmsg"}
LENGTHS = {"write", "pwrite64", "read", "pread64"}  # the third argument is a number of bytes
CREATES = os.O_CREAT | os.O_TRUNC

ERRORS = {"EIO": 5, "EINTR": 4, "ENOSPC": 28, "EDQUOT": 122, "EROFS": 30, "EACCES": 13, "EFBIG": 27, "EMFILE": 24, "EAGAIN": 11}

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long

TRACEME, CONT, GETREGS, SETREGS, SETOPTIONS = 0, 7, 12, 13, 0x4200
# fork, vfork, clone, exec, seccomp; and the program dies with its tracer
OPTIONS = 0x02 | 0x04 | 0x08 | 0x10 | 0x80 | 0x100000
EVENT_SECCOMP = 7
WALL = 0x40000000


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in (
        "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss "
        "fs_base gs_base ds es fs gs").split()]  # fmt: skip


def can_run():
    return platform.machine() == "x86_64" and platform.system() == "Linux"


def ptrace(request, pid, address=0, data=0):
    result = libc.ptrace(request, pid, address, data)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


@dataclass
class Call:
    """One numbered call."""

    number: int
    name: str
    what: str

    def __str__(self):
        return f"{self.number} {self.name} {self.what}"


@dataclass
class Ran:
    code: int | None  # exit number; None where a signal ended it
    signal: int | None
    calls: list = field(default_factory=list)
    acted: list = field(default_factory=list)
    said: str = ""


@dataclass
class Plan:
    """Which calls are numbered and what happens at which."""

    at: int | None = None  # number of the call; None lets all pass
    act: str = "kill"  # kill, short, or the name of an error
    on: bool = False  # at the call and at every one behind it
    only: tuple = ()  # names of calls; empty for all that are numbered
    path: str = ""  # only calls whose file matches this expression
    sockets: bool = False
    reads: bool = False
    before: object = None  # called when the program stands still, before it is acted upon


def seccomp_filter(numbers):
    """A program that stops at the calls of `numbers` and lets all others pass."""
    ld, jeq, ret = 0x20, 0x15, 0x06
    allow, trace = 0x7FFF0000, 0x7FF00000
    code = [(ld, 0, 0, 0)]
    for at, number in enumerate(numbers):
        code.append((jeq, len(numbers) - at, 0, number))
    code += [(ret, 0, 0, allow), (ret, 0, 0, trace)]
    return b"".join(struct.pack("<HBBI", *line) for line in code), len(code)


def become(command, plan, environment, folder, output):
    """In the child: everything up to the program itself."""
    os.setpgid(0, 0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(folder)
    ptrace(TRACEME, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    numbers = {**WRITES, **(SOCKETS if plan.sockets else {}), **(READS if plan.reads else {})}
    code, length = seccomp_filter(sorted(numbers))
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("<HxxxxxxQ", length, ctypes.addressof(buffer))
    held = ctypes.create_string_buffer(program)
    libc.prctl(38, 1, 0, 0, 0)  # no new privileges
    if libc.prctl(22, 2, ctypes.c_void_p(ctypes.addressof(held)), 0, 0) != 0:
        os._exit(126)
    os.execvpe(command[0], command, environment)


def run(command, plan, folder=".", environment=None):
    """Runs `command` to its end under `plan`."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read_end)
            become(command, plan, environment or dict(os.environ), folder, write_end)
        finally:
            os._exit(127)
    os.close(write_end)
    os.waitpid(child, WALL)
    ptrace(SETOPTIONS, child, 0, OPTIONS)
    ptrace(CONT, child)
    tracing = Tracing(child, plan, read_end)
    try:
        return tracing.follow()
    finally:
        os.close(read_end)


class Tracing:
    def __init__(self, child, plan, read_end):
        self.child, self.plan, self.read_end = child, plan, read_end
        self.ran = Ran(None, None)
        self.names = {**WRITES, **SOCKETS, **READS}
        os.set_blocking(read_end, False)

    def follow(self):
        while True:
            pid, status = os.waitpid(-self.child, WALL)
            self.listen()
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                if pid != self.child:
                    continue
                self.ran.code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
                self.ran.signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
                self.listen()
                return self.ran
            passed, event = os.WSTOPSIG(status), status >> 16
            if event == EVENT_SECCOMP:
                self.stopped(pid)
                passed = 0
            elif event or passed in (signal.SIGTRAP, signal.SIGSTOP):
                passed = 0  # a new thread, an exec
            try:
                ptrace(CONT, pid, 0, passed)
            except OSError:
                pass  # killed meanwhile

    def listen(self):
        try:
            while piece := os.read(self.read_end, 1 << 16):
                self.ran.said += piece.decode(errors="replace")
        except BlockingIOError:
            pass

    def stopped(self, pid):
        registers = Registers()
        ptrace(GETREGS, pid, 0, ctypes.addressof(registers))
        call = self.numbered(pid, registers)
        if call is None:
            return
        self.ran.calls.append(call)
        plan = self.plan
        due = plan.at is not None and (call.number == plan.at or (plan.on and call.number > plan.at))
        if not due:
            return
        self.ran.acted.append(call)
        if plan.before:
            plan.before()
        if plan.act == "kill":
            os.kill(self.child, signal.SIGKILL)
        elif plan.act == "short":
            if registers.rdx > 1:
                registers.rdx //= 2
                ptrace(SETREGS, pid, 0, ctypes.addressof(registers))
        else:
            registers.orig_rax = 2**64 - 1
            registers.rax = 2**64 - ERRORS[plan.act]
            ptrace(SETREGS, pid, 0, ctypes.addressof(registers))

    def numbered(self, pid, registers):
        """Returns the call, or None where it changes nothing on a disk."""
        name = self.names.get(registers.orig_rax)
        if name is None or (self.plan.only and name not in self.plan.only):
            return None
        what = ""
        if name == "openat":
            if not registers.rdx & CREATES and not self.plan.reads:
                return None
            what = self.text(pid, registers.rsi)
            if what.startswith(("/proc", "/sys", "/dev")):
                return None
        elif name in WITH_FD:
            what = self.file(pid, registers.rdi)
            if not what.startswith("/") and not (self.plan.sockets and what.startswith("socket:")):
                return None
            if what.startswith(("/proc", "/sys", "/dev")):
                return None
        else:
            at = registers.rsi if name.endswith("at") or name == "renameat2" else registers.rdi
            what = self.text(pid, at)
        if self.plan.path and not re.search(self.plan.path, what):
            return None
        if self.plan.act == "short" and name not in LENGTHS:
            return None
        return Call(len(self.ran.calls) + 1, name, what)

    def file(self, pid, number):
        try:
            return os.readlink(f"/proc/{pid}/fd/{number}")
        except OSError:
            return ""

    def text(self, pid, address):
        try:
            with open(f"/proc/{pid}/mem", "rb", 0) as memory:
                memory.seek(address)
                return memory.read(512).split(b"\0")[0].decode(errors="replace")
        except OSError:
            return ""
