# SPDX-License-Identifier: Apache-2.0
"""What extra specs of a flavor may say: known keys and the values they take.

Setting them is compute/flavors/ops.py. As in Nova (2.86), a key without a namespace or in a namespace
nobody knows is the operator's own and free; in a known namespace an unknown key is a misspelling.
"""

from __future__ import annotations

import re
from typing import Final

from skyhold.core import errors

BOOL: Final = r"(?i:true|false|yes|no|on|off|1|0)"
COUNT: Final = r"[0-9]{1,10}"
CPU_LIST: Final = r"\^?[0-9]+(-[0-9]+)?(,\^?[0-9]+(-[0-9]+)?)*"
ANY: Final = r".*"

KEYS: Final[dict[str, str]] = {
    r"hw:cpu_policy": "dedicated|shared|mixed",
    r"hw:cpu_thread_policy": "prefer|isolate|require",
    r"hw:cpu_dedicated_mask": CPU_LIST,
    r"hw:cpu_realtime": BOOL,
    r"hw:cpu_realtime_mask": CPU_LIST,
    r"hw:cpu_sockets|hw:cpu_cores|hw:cpu_threads": COUNT,
    r"hw:cpu_max_sockets|hw:cpu_max_cores|hw:cpu_max_threads": COUNT,
    r"hw:emulator_threads_policy": "isolate|share",
    r"hw:numa_nodes": r"[1-9][0-9]{0,9}",
    r"hw:numa_cpus\.[0-9]+": CPU_LIST,
    r"hw:numa_mem\.[0-9]+": r"[1-9][0-9]{0,9}",
    r"hw:pci_numa_affinity_policy": "required|preferred|legacy|socket",
    r"hw:mem_page_size": r"(?i:large|small|any|[0-9]+([kmg]i?b)?)",
    r"hw:mem_encryption|hw:boot_menu|hw:tpm_secret_security": BOOL,
    r"hw:locked_memory|hw:hide_hypervisor_id|hw:pmu|hw:vif_multiqueue_enabled": BOOL,
    r"hw:pmem": ANY,
    r"hw:pci_passthrough_alias|pci_passthrough:alias": ANY,
    r"hw:serial_port_count": COUNT,
    r"hw:tpm_model": "tpm-tis|tpm-crb",
    r"hw:tpm_version": r"1\.2|2\.0",
    r"hw:watchdog_action": "none|pause|poweroff|reset|disabled",
    r"hw:maxphysaddr_mode": "passthrough|emulate",
    r"hw:maxphysaddr_bits": COUNT,
    r"hw:viommu_model": "intel|smmuv3|virtio|auto",
    r"hw:virtio_packed_ring|hw:ephemeral_encryption": BOOL,
    r"hw:ephemeral_encryption_format": "luks|plain",
    r"hw_rng:allowed": BOOL,
    r"hw_rng:rate_bytes|hw_rng:rate_period": COUNT,
    r"hw_video:ram_max_mb": COUNT,
    r"os:secure_boot": "required|disabled|optional",
    r"os:monitors": COUNT,
    r"os:resolution": ANY,
    r"os:vgpu": ANY,
    r"quota:(cpu|memory|disk_io|vif)_(limit|reservation|shares_share)": r"-?[0-9]{1,18}",
    r"quota:(cpu|memory|disk_io|vif)_shares_level": "custom|high|normal|low",
    r"quota:(cpu_shares|cpu_period|cpu_quota)": r"-?[0-9]{1,18}",
    r"quota:disk_(read|write|total)_(bytes|iops)_sec(_max)?": COUNT,
    r"quota:vif_(inbound|outbound)_(average|peak|burst)": COUNT,
    r"trait[0-9A-Za-z_-]*:(HW|CUSTOM|COMPUTE|STORAGE|MISC|OWNER)_[A-Z0-9_]+": "required|forbidden",
    r"resources[0-9A-Za-z_-]*:[A-Z0-9_]+": COUNT,
    r"group_policy": "isolate|none",
    r"capabilities:[0-9A-Za-z_.:-]+": ANY,
    r"aggregate_instance_extra_specs:[0-9A-Za-z_.:-]+": ANY,
    r"powervm:[0-9A-Za-z_.:-]+|vmware:[0-9A-Za-z_.:-]+": ANY,
    r"accel:device_profile": ANY,
    r"hide_hypervisor_id": BOOL,
}
"""Key pattern to value pattern, both matched whole."""

NAMESPACES: Final = re.compile(
    r"(hw|hw_rng|hw_video|os|quota|trait[0-9A-Za-z_-]*|resources[0-9A-Za-z_-]*|accel|pci_passthrough):"
)
_CHECKS: Final = [(re.compile(key), re.compile(value)) for key, value in KEYS.items()]


def check(key: str, value: str) -> None:
    """Raises Invalid for a key or a value that can't mean anything."""
    for known, values in _CHECKS:
        if known.fullmatch(key):
            if values.fullmatch(value):
                return
            raise errors.Invalid(
                f"Validation failed; {value[:60]!r} is not a value of extra spec {key!r}: it takes {values.pattern}.",
                reason="bad_extra_spec",
            )
    if NAMESPACES.match(key):
        raise errors.Invalid(
            f"Validation failed; extra spec '{key}' does not appear to be a valid extra spec.",
            reason="unknown_extra_spec",
        )
