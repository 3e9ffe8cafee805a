"""The guards, by the part of the spine that they stand in."""
