"""The `sparse` engine."""
