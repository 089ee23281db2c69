"""Pictures, tables and pages about a comparison."""
