# SPDX-License-Identifier: Apache-2.0
"""What hangs on a server and has paths of its own: metadata, tags, addresses, security groups."""
