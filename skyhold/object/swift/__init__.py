# SPDX-License-Identifier: Apache-2.0
"""The object store in Swift's protocol."""
