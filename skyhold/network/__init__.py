# SPDX-License-Identifier: Apache-2.0
"""Network: networks, subnets, ports, routers, floating IPs and security groups."""
