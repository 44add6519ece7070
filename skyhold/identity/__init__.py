# SPDX-License-Identifier: Apache-2.0
"""Identity: who is who, who may do what where, and where the services are."""
