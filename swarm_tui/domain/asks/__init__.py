"""Asks: what an AI agent needs a yes for, the rules that answer by themselves, and who may answer the rest. Pure."""
