# SPDX-License-Identifier: Apache-2.0
"""What an operator asks a running control plane: audit, sagas, the trace of a request."""
