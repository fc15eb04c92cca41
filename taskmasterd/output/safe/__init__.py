"""Opening logs in places where others may have planted something."""
