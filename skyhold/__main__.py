# SPDX-License-Identifier: Apache-2.0
"""`python -m skyhold` is the `skyhold` command (cmd/main.py)."""

from skyhold.cmd.main import main

main()
