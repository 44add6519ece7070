# SPDX-License-Identifier: Apache-2.0
"""What tests share: a whole cloud in the test's process, and a client that speaks to it."""
