# SPDX-License-Identifier: Apache-2.0
"""What identity keeps true by itself."""
