# SPDX-License-Identifier: Apache-2.0
"""Who may do what: the rule language, the rules of a program and the usual check strings."""
