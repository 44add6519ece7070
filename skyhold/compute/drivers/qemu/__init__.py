# SPDX-License-Identifier: Apache-2.0
"""Guests as supervised QEMU processes, spoken to by QMP without libvirt.

The verbs are in driver.py; every other file is one part of it. The interface is in
skyhold/compute/drivers/base.py, and the operator's page is docs/qemu-driver.md.
"""
