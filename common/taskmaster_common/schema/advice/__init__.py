"""What a user probably meant."""
