# SPDX-License-Identifier: Apache-2.0
"""Every setting of a cloud: its type, default and meaning, how it is read, and where the state lives on disk."""
