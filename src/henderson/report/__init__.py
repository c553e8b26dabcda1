"""What a person reads: tables and worked examples."""
