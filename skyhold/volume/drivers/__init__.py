# SPDX-License-Identifier: Apache-2.0
"""What holds volumes, behind one interface."""
