# SPDX-License-Identifier: Apache-2.0
"""Where users may come from other than this cloud's own tables."""
