# SPDX-License-Identifier: Apache-2.0
"""Network's reconcilers, named by what they keep true."""
