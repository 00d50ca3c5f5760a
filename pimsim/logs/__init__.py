"""Command logs: who writes and reads them, and the checker that trusts nobody but the table."""
