"""Pacing of answers: who may send how much, and when."""
