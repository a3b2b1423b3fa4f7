"""
Transactions: is there an order of all of them that explains what each of them read?

The engine in C (`native/transactions`) finds the anomalies; here they get names, words and the
smallest history that shows them, and what the verdict rests on is checked again.
"""

from dissever.checkers.transactions.checker import Transactions

__all__ = ["Transactions"]
