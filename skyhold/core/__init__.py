# SPDX-License-Identifier: Apache-2.0
"""All plumbing, written once; knows no service."""
