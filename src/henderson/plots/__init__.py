"""Pictures: arrays in, matplotlib axes out."""
