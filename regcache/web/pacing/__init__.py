"""Pacing of answers: how much each transfer may send, and when."""
