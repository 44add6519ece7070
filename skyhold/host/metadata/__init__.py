# SPDX-License-Identifier: Apache-2.0
"""The metadata service: answers guests at 169.254.169.254 and fe80::a9fe:a9fe with their own metadata."""
