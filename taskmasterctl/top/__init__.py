"""`top`: what runs and what it uses, on the whole screen."""
