# SPDX-License-Identifier: Apache-2.0
"""What extra specs may say, as Nova 2.86 has it."""

from __future__ import annotations

import pytest

from skyhold.compute.logic import extra_specs
from skyhold.core import errors


@pytest.mark.parametrize(("key", "value"), [
    ("hw:cpu_policy", "dedicated"), ("hw:mem_page_size", "2MB"), ("hw:mem_page_size", "large"),
    ("hw:numa_cpus.0", "0-3,^2"), ("hw_rng:allowed", "True"), ("quota:cpu_shares", "1024"),
    ("trait:HW_CPU_X86_AVX2", "required"), ("trait_1:CUSTOM_FAST", "forbidden"),
    ("resources:VCPU", "2"), ("resources_A:CUSTOM_GOLD", "1"), ("group_policy", "isolate"),
    ("no_namespace", "anything"), ("mine:whatever", "anything"),
    ("aggregate_instance_extra_specs:ssd", "true"), ("capabilities:cpu_info:arch", "x86_64"),
])
def test_what_can_be_meant_is_taken(key: str, value: str) -> None:
    extra_specs.check(key, value)


@pytest.mark.parametrize(("key", "value"), [
    ("hw:cpu_polcy", "dedicated"), ("hw:cpu_policy", "sometimes"), ("hw:numa_nodes", "0"),
    ("hw:cpu_policy", "dedicated\n"), ("trait:HW_CPU_X86_AVX2", "wanted"), ("trait:made_up", "required"),
    ("resources:VCPU", "two"), ("quota:cpu_share", "1"), ("os:secure_boot", "yes"), ("hw_rng:x", "1"),
])
def test_what_can_not_is_refused_by_name(key: str, value: str) -> None:
    with pytest.raises(errors.Invalid, match="Validation failed"):
        extra_specs.check(key, value)
