"""Configuration: schema, loader, provenance, and what a resolved configuration is written as."""
