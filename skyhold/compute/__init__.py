# SPDX-License-Identifier: Apache-2.0
"""Compute: servers, flavors, keypairs and the hosts they run on."""
