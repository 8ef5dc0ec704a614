"""Imports everything that registers with gin, for programs that read gin files."""
