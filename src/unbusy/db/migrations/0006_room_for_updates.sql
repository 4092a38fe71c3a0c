-- One batch may change every row of a page at once: the wallets and profiles of the busiest people
-- lie where they were opened, side by side. A page that is half empty takes all the new versions;
-- one with less room sends them elsewhere, with an entry in every index, and its chains grow.

ALTER TABLE ledger.accounts SET (fillfactor = 45);
ALTER TABLE payments.profiles SET (fillfactor = 45);
