# SPDX-License-Identifier: Apache-2.0
"""How the data plane is really built: the interface and its implementations."""
