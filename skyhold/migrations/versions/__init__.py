# SPDX-License-Identifier: Apache-2.0
"""One file a revision, numbered; the last is core/schema.py's HEAD."""
