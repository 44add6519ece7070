# SPDX-License-Identifier: Apache-2.0
"""What can keep a cloud from starting, each told in one sentence with the remedy."""


class CannotStart(Exception):
    """The machine or the settings don't allow it."""


class NotUp(Exception):
    """The cloud is there, but the first server did not come up."""
