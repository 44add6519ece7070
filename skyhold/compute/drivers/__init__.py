# SPDX-License-Identifier: Apache-2.0
"""How guests are really run: the interface and its implementations."""
