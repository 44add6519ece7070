# SPDX-License-Identifier: Apache-2.0
"""The steps between released schemas; Alembic runs them."""
