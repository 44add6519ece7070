# SPDX-License-Identifier: Apache-2.0
"""The one transactional store, on SQLite, PostgreSQL or MariaDB."""
