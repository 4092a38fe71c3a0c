-- A payment that is done at once is its own event: its row says whom it concerns, what happened and
-- when, so two rows beside it would only say it again. The table of events keeps the rest: what is
-- queued, and what changes later.

ALTER TABLE payments.payments
    ADD COLUMN xid    bigint NOT NULL DEFAULT 0,
    ADD COLUMN number bigint NOT NULL DEFAULT 0;
-- Those that are there have their events in the table already; transaction 0 is before all readers.
UPDATE payments.payments p SET number = made.place
  FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM payments.payments) made
 WHERE made.id = p.id;
ALTER TABLE payments.payments
    ALTER COLUMN xid SET DEFAULT pg_current_xact_id()::text::bigint,
    ALTER COLUMN number SET DEFAULT nextval('payments.event_numbers');
COMMENT ON COLUMN payments.payments.xid IS
    'The transaction that made it: with the number its place in the streams of its payer and payee, and in their lists.';
COMMENT ON COLUMN payments.payments.finish_by IS
    'Set when it was queued; then its events are in payments.events, else its row is its event.';

DROP INDEX payments.payments_made;
DROP INDEX payments.payments_received;
CREATE INDEX payments_made ON payments.payments (payer_id, xid, number);
CREATE INDEX payments_received ON payments.payments (payee_id, xid, number) WHERE status = 'completed';
CREATE INDEX payments_lately ON payments.payments USING brin (xid) WITH (autosummarize = on, pages_per_range = 16);
