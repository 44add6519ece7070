# SPDX-License-Identifier: Apache-2.0
"""Work that survives: durable sequences of steps with undo, run by any control process."""
