# SPDX-License-Identifier: Apache-2.0
"""What keeps volumes' bytes true."""
