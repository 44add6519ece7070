# SPDX-License-Identifier: Apache-2.0
"""Imports: content that comes in several ways, is made ready, and goes into one or several stores."""
