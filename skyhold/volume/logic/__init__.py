# SPDX-License-Identifier: Apache-2.0
"""Volume's decisions, without I/O."""
