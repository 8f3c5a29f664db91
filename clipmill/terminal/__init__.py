"""What a person sees at a terminal while jobs run."""
