# SPDX-License-Identifier: Apache-2.0
"""The machinery behind core/shapes.py: fields, kinds, schemas and generated readers and writers."""
