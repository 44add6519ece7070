# SPDX-License-Identifier: Apache-2.0
"""The one agent per machine: guests, disks, network ports, DHCP and metadata."""
