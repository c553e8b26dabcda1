"""Tables, genotype sources and relationship files: what henderson reads and writes."""
