# SPDX-License-Identifier: Apache-2.0
"""Times a two-instruction loop in a raw KVM vCPU and prints nanoseconds per iteration.

Runs as a program of its own, because a broken KVM may hang; accelerator.py starts and limits it.
A processor with virtualisation needs far below 100 ns; software that only imitates /dev/kvm needs
about 1,000, and an ordinary kernel then looks hung for minutes without any error.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import struct
import time

# ioctl numbers of linux/kvm.h for x86-64.
_GET_API_VERSION = 0xAE00
_CREATE_VM = 0xAE01
_GET_VCPU_MMAP_SIZE = 0xAE04
_CREATE_VCPU = 0xAE41
_RUN = 0xAE80
_SET_USER_MEMORY_REGION = 0x4020AE46
_SET_REGS = 0x4090AE82
_GET_SREGS = 0x8138AE83
_SET_SREGS = 0x4138AE84

_EXIT_HLT = 5
_ITERATIONS = 2000
_CODE_AT = 0x1000


def main() -> None:
    print(f"{min(loop_ns(), loop_ns()):.0f}")


def loop_ns(iterations: int = _ITERATIONS) -> float:
    """Raises OSError when there is no usable KVM at all."""
    kvm = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    try:
        if fcntl.ioctl(kvm, _GET_API_VERSION, 0) != 12:
            raise OSError("KVM speaks another version of its interface")
        vm = fcntl.ioctl(kvm, _CREATE_VM, 0)
        try:
            return _time_in_vm(kvm, vm, iterations)
        finally:
            os.close(vm)
    finally:
        os.close(kvm)


def _time_in_vm(kvm: int, vm: int, iterations: int) -> float:
    memory = mmap.mmap(-1, 0x2000)
    # mov ecx, n; again: dec ecx; jnz again; hlt  (16-bit mode, 32-bit operands)
    code = b"\x66\xb9" + struct.pack("<I", iterations) + b"\x66\x49\x75\xfc\xf4"
    memory[_CODE_AT : _CODE_AT + len(code)] = code
    address = ctypes.addressof((ctypes.c_char * 0x2000).from_buffer(memory))
    fcntl.ioctl(vm, _SET_USER_MEMORY_REGION, struct.pack("IIQQQ", 0, 0, 0, 0x2000, address))
    vcpu = fcntl.ioctl(vm, _CREATE_VCPU, 0)
    try:
        _point_at_code(vcpu)
        with mmap.mmap(vcpu, fcntl.ioctl(kvm, _GET_VCPU_MMAP_SIZE, 0)) as run:
            started = time.perf_counter_ns()
            fcntl.ioctl(vcpu, _RUN, 0)
            spent = time.perf_counter_ns() - started
            if struct.unpack_from("<I", run, 8)[0] != _EXIT_HLT:
                raise OSError("the vCPU left its loop for an unexpected reason")
        return spent / iterations
    finally:
        os.close(vcpu)


def _point_at_code(vcpu: int) -> None:
    special = bytearray(312)
    fcntl.ioctl(vcpu, _GET_SREGS, special)
    struct.pack_into("<Q", special, 0, 0)
    struct.pack_into("<H", special, 12, 0)
    fcntl.ioctl(vcpu, _SET_SREGS, bytes(special))
    registers = [0] * 18
    registers[16], registers[17] = _CODE_AT, 2
    fcntl.ioctl(vcpu, _SET_REGS, struct.pack("<18Q", *registers))


if __name__ == "__main__":
    main()
