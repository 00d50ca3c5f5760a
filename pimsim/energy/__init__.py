"""Energy: counts times a table whose rows name their source."""
