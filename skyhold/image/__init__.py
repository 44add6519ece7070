# SPDX-License-Identifier: Apache-2.0
"""The image service: disks that servers are made from, and who may use them."""
