# SPDX-License-Identifier: Apache-2.0
"""What is kept true without being asked: every event that a webhook wants reaches it. What webhooks are is
webhooks.py. One file a loop.
"""
