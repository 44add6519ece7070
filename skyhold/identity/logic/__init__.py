# SPDX-License-Identifier: Apache-2.0
"""Identity's decisions without I/O."""
