# SPDX-License-Identifier: Apache-2.0
"""Ports: the connections of servers, routers and services to networks."""
