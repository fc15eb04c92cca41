"""What is put into the pages of docs/ and the README, and their view as a site."""
