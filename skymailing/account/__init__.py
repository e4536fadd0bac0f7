"""What belongs to a person: taking it all along, and leaving for good."""
