"""What leaves the disk to make room for others, or for its age."""
