"""What outlives one daemon: its state on the disk, adoption by the next one, the live upgrade, the channel to a guardian."""
