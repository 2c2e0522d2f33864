"""What a solve adds to the memory that X takes."""
