"""Pictures in files and in memory: formats, colour, metadata, and the folders that they lie in."""
