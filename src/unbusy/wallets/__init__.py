"""Wallets: what a person holds, in every asset; where it came from and where it went.

A wallet is the person's accounts in the ledger, one per asset, each opened on first receipt. Their
states are the ledger's: open, frozen (nothing in or out), closed (empty, and final).
"""

from unbusy.wallets.service import Wallets, credit, reserve_of

__all__ = ["Wallets", "credit", "reserve_of"]
