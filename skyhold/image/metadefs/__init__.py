# SPDX-License-Identifier: Apache-2.0
"""Metadata definitions: which properties, objects and tags a resource may carry, and what they mean."""
