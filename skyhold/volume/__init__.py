# SPDX-License-Identifier: Apache-2.0
"""Block storage: OpenStack's Cinder."""
