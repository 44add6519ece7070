# SPDX-License-Identifier: Apache-2.0
"""HTTP in and out: routes as data, one endpoint per path and method, dialects, the server."""
