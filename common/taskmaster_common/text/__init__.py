"""Text that users write, and the values it stands for."""
