# SPDX-License-Identifier: Apache-2.0
"""The lines of the table, one file a subject."""
