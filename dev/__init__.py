"""Tools for development that are not shipped."""
