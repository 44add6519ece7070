# SPDX-License-Identifier: Apache-2.0
"""Projects: what owns the resources of all other services; they stand in trees below a domain."""
