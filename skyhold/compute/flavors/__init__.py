# SPDX-License-Identifier: Apache-2.0
"""Flavors: the sizes that servers come in, who may use them, and what else they ask of a host."""
