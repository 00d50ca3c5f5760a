"""Published marks of memories that multiply, beside the simulated ones: `pimsim reproduce devices`.

`marks` reads what was published (`marks.yaml`), `measures` has what a mark is measured by, `study` says what
a study is; a module for each device has its studies (`STUDIES`) and says what decides each of them, `found`
runs all of them, each input at both ends of its range as well, and `pages` writes what came out.
"""
