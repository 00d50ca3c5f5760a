"""Results: figures, tables and files of a finished run."""
