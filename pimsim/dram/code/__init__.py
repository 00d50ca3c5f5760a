"""Arrays inside of compiled code."""
