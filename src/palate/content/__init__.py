"""What an item's fields say: its text for the encoder, its words, its tags and its title."""
