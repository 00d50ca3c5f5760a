"""Traces from and to other tools: PyTorch execution traces, Kineto, MLCommons Chakra ET.

`import_file` reads any of the three; `export_chakra` writes the last, and
`export_share` that of one device of several.  What a format
cannot say is listed by both, for the command line to print.
"""

from pimsim.workload.interchange.convert import Imported, export_chakra, export_share, import_file

__all__ = ["Imported", "export_chakra", "export_share", "import_file"]
