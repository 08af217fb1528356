"""The chart's generated files."""
