# SPDX-License-Identifier: Apache-2.0
"""What happened in this cloud, for programs that want to know: the journal by position, its stream of
server-sent events, and signed webhooks. What is written there is the business of each service, and how
it gets its positions that of core/journal.py. This service only reads.
"""
