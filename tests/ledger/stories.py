"""What the ledger does, told as stories (`story.py` says how they read).

Written against the port: whatever engine stands behind it, this is what comes out.
"""

STORIES = {
    "money moves from one account to another": """
        account BANK floor=none
        account A    floor=0
        account B    floor=0
        post T1 BANK -> A 100                     : ok 100
        post T2 A    -> B  30                     : ok 30
        see BANK posted=-100 held=0 available=none running_number=1
        see A    posted=70   held=0 available=70   running_number=2
        see B    posted=30   held=0 available=30   running_number=1
    """,
    "the same transfer again is answered with what happened the first time": """
        account BANK
        account A    floor=0
        post T1 BANK -> A 100                     : ok 100
        post T1 BANK -> A 100                     : again 100
        post T1 BANK -> A 100                     : again 100
        see A posted=100 running_number=1
        begin                                     # in one batch too
            post T2 BANK -> A 5                   : ok 5
            post T2 BANK -> A 5                   : again 5
            post T1 BANK -> A 100                 : again 100
        end
        see A posted=105 running_number=2
    """,
    "another transfer under the same id is told which field differs": """
        account BANK
        account A
        account B
        post T1 BANK -> A 100 code=top_up         : ok
        post T1 BANK -> A 101 code=top_up         : id_reused amount
        post T1 B    -> A 100 code=top_up         : id_reused debit_id
        post T1 BANK -> B 100 code=top_up         : id_reused credit_id
        post T1 BANK -> A 100 code=gift           : id_reused code
        post T1 BANK -> A 100 code=top_up asset=USD : id_reused asset
        post T1 BANK -> A 100 code=top_up tenant=2 : id_reused tenant_id
        post T1 BANK -> A 100 code=top_up up_to   : id_reused up_to
        hold T1 BANK -> A 100 code=top_up         : id_reused kind
        begin
            post T1 BANK -> A 100 code=top_up linked : id_reused linked
            post T2 BANK -> A 1                   : linked_transfer_refused
        end
        begin                                     # in one batch too
            post T3 BANK -> A 7                   : ok
            post T3 BANK -> A 8                   : id_reused amount
        end
        hold H1 BANK -> A 10 expires=60           : ok
        hold H1 BANK -> A 10 expires=61           : id_reused expires_at
        hold H1 BANK -> A 10                      : id_reused expires_at
        hold H2 BANK -> A 10                      : ok
        capture C1 of H1 5                        : ok 5
        capture C1 of H2 5                        : id_reused hold_id
        capture C1 of H1 -                        : id_reused amount
        void    C1 of H1 5                        : id_reused kind
        see A posted=112
    """,
    "a refusal that came from the state stays, even when the money has come": """
        account BANK
        account A floor=0
        account B floor=0
        post T1 A -> B 10                         : insufficient_funds
        post T1 A -> B 10                         : again insufficient_funds
        post T2 BANK -> A 100                     : ok
        post T1 A -> B 10                         : again insufficient_funds
        post T1 A -> B 11                         : id_reused amount
        post T3 A -> B 10                         : ok
        begin                                     # in one batch too
            post T4 B -> A 11                     : insufficient_funds
            post T5 BANK -> B 1                   : ok
            post T4 B -> A 11                     : again insufficient_funds
        end
    """,
    "a refusal that came from the request leaves the id free": """
        account BANK
        account A
        account D asset=USD
        post T1 BANK -> A 0                       : amount_out_of_range
        post T1 BANK -> A 1                       : ok
        post T2 BANK -> BANK 1                    : same_account
        post T2 BANK -> D 1                       : asset_differs
        post T2 BANK -> A 1 tenant=2              : tenant_differs
        post T2 BANK -> A 1                       : ok
    """,
    "an amount is 1 to 10^18": """
        account BANK
        account A
        post T1 BANK -> A 0                       : amount_out_of_range
        post T2 BANK -> A -1                      : amount_out_of_range
        post T3 BANK -> A 1000000000000000001     : amount_out_of_range
        post T4 BANK -> A 1000000000000000000     : ok
        post T5 BANK -> A 1                       : ok
        hold H1 BANK -> A 10                      : ok
        capture C1 of H1 -1                       : amount_out_of_range
        capture C2 of H1 1000000000000000001      : amount_out_of_range
        see A posted=1000000000000000001
    """,
    "a counter is refused before it overflows": """
        account BANK
        account A
        account B
        post T1 BANK -> A 1000000000000000000     : ok
        post T2 BANK -> A 1000000000000000000     : ok
        post T3 BANK -> A 1000000000000000000     : ok
        post T4 BANK -> A 1000000000000000000     : ok
        post T5 BANK -> A 1000000000000000000     : ok
        post T6 BANK -> A 1000000000000000000     : ok
        hold H7 BANK -> A 1000000000000000000     : ok
        post T8 BANK -> A 1000000000000000000     : ok
        post T9 BANK -> B 1                       : counter_would_overflow
        post TA B    -> A 1                       : counter_would_overflow
        hold TB B    -> A 1                       : counter_would_overflow
        capture C1 of H7 1                        : ok
        post TC B    -> A 999999999999999999      : ok
        post TD B    -> A 1                       : counter_would_overflow
        see A credits_posted=8000000000000000000 credits_pending=0
    """,
    "a field is missing or does not belong to the kind": """
        account BANK
        account A
        hold H1 BANK -> A 10                      : ok
        post T1 -    -> A 1                       : malformed debit_id
        post T2 BANK -> - 1                       : malformed credit_id
        post T3 BANK -> A 1 hold=H1               : malformed hold_id
        post T4 BANK -> A 1 expires=60            : malformed expires_at
        hold T5 BANK -> A 1 hold=H1               : malformed hold_id
        capture T6 of - 1                         : malformed hold_id
        capture T7 of H1 1 expires=60             : malformed expires_at
        capture T8 of H1 1 up_to                  : malformed up_to
        void    T9 of - -                         : malformed hold_id
        expire  TA of H1 -                        : malformed kind
        see A posted=0 credits_pending=10
    """,
    "accounts must be known, different, of one tenant and of one asset": """
        account BANK
        account A
        account D asset=USD
        post T1 BANK -> BANK 1                    : same_account
        post T2 NOBODY -> NOBODY 1                : same_account
        post T3 NOBODY -> A 1                     : debit_account_unknown
        post T4 A -> NOBODY 1                     : credit_account_unknown
        post T5 NOBODY -> ELSE 1                  : debit_account_unknown
        post T6 A -> D 1                          : asset_differs
        post T7 D -> A 1                          : asset_differs
        post T8 BANK -> A 1 asset=USD             : asset_differs
        post T9 BANK -> A 1 tenant=2              : tenant_differs
        account NOBODY                            # come too late: the answers stay
        post T3 NOBODY -> A 1                     : again debit_account_unknown
        post T4 A -> NOBODY 1                     : again credit_account_unknown
    """,
    "a floor is kept, and what is held does not count as there": """
        account BANK
        account A floor=0
        account C floor=-50
        post T1 BANK -> A 100                     : ok
        post T2 A -> BANK 101                     : insufficient_funds
        hold H1 A -> BANK 60                      : ok 60
        see A posted=100 held=60 available=40
        post T3 A -> BANK 41                      : insufficient_funds
        hold H2 A -> BANK 41                      : insufficient_funds
        post T4 A -> BANK 40                      : ok
        see A posted=60 held=60 available=0
        post T5 C -> BANK 50                      : ok
        post T6 C -> BANK 1                       : insufficient_funds
        see C posted=-50 available=0
    """,
    "a ceiling is kept, and what is to come counts as there": """
        account BANK
        account A floor=0 ceiling=100
        post T1 BANK -> A 101                     : ceiling_exceeded
        hold H1 BANK -> A 60                      : ok
        post T2 BANK -> A 41                      : ceiling_exceeded
        post T3 BANK -> A 40                      : ok
        capture C1 of H1 -                        : ok 60
        see A posted=100 credits_pending=0
    """,
    "up to an amount moves as much as there is": """
        account BANK
        account A floor=0
        account B floor=0 ceiling=50
        post T1 BANK -> A 100                     : ok
        post T2 A -> BANK 30 up_to                : ok 30
        hold H1 A -> BANK 10                      : ok
        post T3 A -> BANK 1000 up_to              : ok 60
        post T3 A -> BANK 1000 up_to              : again 60
        post T3 A -> BANK 60 up_to                : id_reused amount
        see A posted=10 held=10 available=0
        post T4 A -> BANK 1 up_to                 : insufficient_funds
        post T5 BANK -> B 70 up_to                : ok 50
        post T6 BANK -> B 70 up_to                : ceiling_exceeded
        post T7 B -> BANK 20                      : ok
        hold H2 BANK -> B 70 up_to                : ok 20
        see B posted=30 credits_pending=20
        post T8 A -> B 5 up_to                    : insufficient_funds
    """,
    "a hold is captured as a whole": """
        account A
        account B floor=0
        hold H1 A -> B 100                        : ok 100
        see A posted=0 held=100
        see B posted=0 credits_pending=100 available=0
        capture C1 of H1 -                        : ok 100
        capture C1 of H1 -                        : again 100
        see A posted=-100 held=0 running_number=2
        see B posted=100 credits_pending=0 available=100
        capture C2 of H1 -                        : hold_captured
        void    V1 of H1 -                        : hold_captured
        capture C2 of H1 -                        : again hold_captured
        hold H1 A -> B 100                        : again 100
    """,
    "a part of a hold is captured, and the rest released": """
        account A
        account B
        hold H1 A -> B 100                        : ok
        capture C1 of H1 101                      : capture_exceeds_hold
        capture C1 of H1 30                       : ok 30
        see A posted=-30 held=0
        see B posted=30 credits_pending=0
        capture C2 of H1 30                       : hold_captured
    """,
    "a hold is voided": """
        account A
        account B
        hold H1 A -> B 100                        : ok
        void V1 of H1 99                          : hold_differs amount
        void V1 of H1 100                         : ok 100
        void V1 of H1 100                         : again 100
        see A posted=0 held=0
        see B posted=0 credits_pending=0
        capture C1 of H1 -                        : hold_voided
        void    V2 of H1 -                        : hold_voided
        void    V3 of H9 -                        : hold_unknown
        capture C3 of H9 -                        : hold_unknown
        hold H9 A -> B 100                        : ok
        capture C3 of H9 -                        : again hold_unknown
    """,
    "a capture may repeat what its hold says, and must not contradict it": """
        account A
        account B
        account D asset=USD
        hold H1 A -> B 100                        : ok
        capture C1 of H1 - tenant=2               : hold_differs tenant_id
        capture C1 of H1 - debit=B                : hold_differs debit_id
        capture C1 of H1 - credit=A               : hold_differs credit_id
        capture C1 of H1 - asset=USD              : hold_differs asset
        capture C1 of H1 - debit=A credit=B       : ok 100
        capture C1 of H1 -                        : again 100
        capture C1 of H1 - debit=A credit=B       : again 100
        capture C1 of H1 - debit=B                : id_reused debit_id
    """,
    "a hold that has expired is not captured, whether it was released or not": """
        account A
        account B
        hold H0 A -> B 1 expires=0                : expires_in_the_past
        hold H0 A -> B 1 expires=-5               : id_reused expires_at
        hold H1 A -> B 100 expires=60             : ok
        hold H2 A -> B 20  expires=60             : ok
        hold H3 A -> B 3   expires=61             : ok
        hold H4 A -> B 4                          : ok
        wait 59
        sweep                                     : 0
        capture C2 of H2 -                        : ok
        wait 1
        capture C1 of H1 -                        : hold_expired
        see A held=107
        sweep                                     : 1
        sweep                                     : 0
        see A posted=-20 held=7
        capture C1 of H1 -                        : again hold_expired
        void    V1 of H1 -                        : hold_expired
        wait 100000
        void    V3 of H3 -                        : ok 3    # past its time and not yet released
        sweep                                     : 0
        see A held=4
    """,
    "a hold may be made and ended in one batch": """
        account A
        account B
        begin
            hold    H1 A -> B 100                 : ok
            capture C1 of H1 40                   : ok 40
            capture C2 of H1 40                   : hold_captured
            hold    H2 A -> B 100                 : ok
            void    V2 of H2 -                    : ok
            capture C3 of H3 -                    : hold_unknown
            hold    H3 A -> B 100                 : ok
        end
        see A posted=-40 held=100 running_number=5
    """,
    "a refused transfer does not disturb its neighbours": """
        account BANK
        account A floor=0
        account B floor=0
        begin
            post T1 BANK -> A 10                  : ok
            post T2 A -> B 11                     : insufficient_funds
            post T3 A -> NOBODY 1                 : credit_account_unknown
            post T4 A -> A 1                      : same_account
            post T5 A -> B 10                     : ok
            post T6 B -> A 10                     : ok      # what came a moment ago can be spent
        end
        see A posted=10 running_number=3
        see B posted=0  running_number=2
    """,
    "a chain stands together": """
        account BANK
        account A floor=0
        account B floor=0
        begin
            post T1 BANK -> A 10 linked           : ok
            post T2 A -> B 10 linked              : ok
            post T3 B -> BANK 4                   : ok
            post T4 BANK -> A 1                   : ok
        end
        begin
            post T1 BANK -> A 10 linked           : again 10
            post T2 A -> B 10 linked              : again 10
            post T3 B -> BANK 4                   : again 4
        end
        see A posted=1
        see B posted=6
    """,
    "a chain falls together, and only the one that failed keeps its answer": """
        account BANK
        account A floor=0
        account B floor=0
        begin
            post T0 BANK -> B 1                   : ok
            post T1 BANK -> A 10 linked           : linked_transfer_refused
            hold H1 A -> B 5 linked               : linked_transfer_refused
            post T2 A -> B 11 linked              : insufficient_funds
            post T3 BANK -> A 1                   : linked_transfer_refused
            post T4 A -> B 1                      : insufficient_funds  # the ten were taken back
            post T5 BANK -> B 1                   : ok
        end
        see A posted=0 held=0 running_number=0
        see B posted=2 running_number=2 credits_pending=0
        begin                                     # again: the same answers
            post T1 BANK -> A 10 linked           : linked_transfer_refused
            post T2 A -> B 11 linked              : again insufficient_funds
            post T3 BANK -> A 1                   : linked_transfer_refused
        end
        post T3 BANK -> A 1                       : ok      # its id had stayed free
        capture C1 of H1 -                        : hold_unknown
    """,
    "a chain that falls puts back the holds it ended": """
        account A
        account B
        account C floor=0
        hold H1 A -> B 100                        : ok
        begin
            capture C1 of H1 60 linked            : linked_transfer_refused
            post T1 C -> B 1                      : insufficient_funds
        end
        see A posted=0 held=100
        begin
            hold H2 A -> B 1 linked               : linked_transfer_refused
            void V2 of H2 - linked                : linked_transfer_refused
            void V1 of H1 - linked                : linked_transfer_refused
            post T2 C -> B 1                      : insufficient_funds
            capture C2 of H1 60                   : ok 60
        end
        see A posted=-60 held=0 running_number=2
    """,
    "a chain left open at the end of a batch is refused": """
        account BANK
        account A
        begin
            post T0 BANK -> A 1                   : ok
            post T1 BANK -> A 1 linked            : linked_transfer_refused
            post T2 BANK -> A 1 linked            : chain_is_open
        end
        post T3 BANK -> A 1 linked                : chain_is_open
        begin
            post T4 BANK -> BANK 1 linked         : same_account
            post T5 BANK -> A 1 linked            : chain_is_open
        end
        see A posted=1 running_number=1
        post T2 BANK -> A 1                       : ok
    """,
    "two chains in one batch do not know each other": """
        account BANK
        account A floor=0
        account B floor=0
        begin
            post T1 BANK -> A 10 linked           : linked_transfer_refused
            post T2 A -> B 20                     : insufficient_funds
            post T3 BANK -> A 10 linked           : ok
            post T4 A -> B 10                     : ok
        end
        see B posted=10
    """,
    "what happened before a chain stays, whatever becomes of the chain": """
        account BANK
        account A floor=0
        begin
            post T1 BANK -> A 10 linked           : ok
            post T2 BANK -> A 10                  : ok
        end
        begin
            post T1 BANK -> A 10 linked           : again 10
            post T3 BANK -> A 10 linked           : linked_transfer_refused
            post T3 BANK -> A 10 linked           : linked_transfer_refused   # within this chain only
            post T4 A -> BANK 1000 linked         : insufficient_funds
            post T2 BANK -> A 10                  : again 10
        end
        see A posted=20
    """,
    "frozen: nothing new in or out, and what was held can be given back": """
        account BANK
        account A floor=0
        account B floor=0
        post T1 BANK -> A 100                     : ok
        hold H1 A -> B 10                         : ok
        hold H2 A -> B 10                         : ok
        hold H3 A -> B 10 expires=60              : ok
        state A frozen                            : ok
        state A frozen                            : ok
        post T2 A -> B 1                          : debit_account_frozen
        post T3 BANK -> A 1                       : credit_account_frozen
        hold T4 A -> B 1                          : debit_account_frozen
        capture C1 of H1 -                        : debit_account_frozen
        void V2 of H2 -                           : ok
        wait 60
        sweep                                     : 1
        state A open                              : ok
        post T2 A -> B 1                          : again debit_account_frozen
        capture C1 of H1 -                        : again debit_account_frozen
        capture C3 of H1 -                        : ok
        state B frozen                            : ok
        hold T5 A -> B 1                          : credit_account_frozen
        see A posted=90 held=0
    """,
    "closed: only when empty, and for ever": """
        account BANK
        account A floor=0
        account B floor=0
        post T1 BANK -> A 100                     : ok
        state A closed                            : account_not_empty
        post T2 A -> BANK 100                     : ok
        hold H1 BANK -> A 10                      : ok
        state A closed                            : account_not_empty
        void V1 of H1 -                           : ok
        state B frozen                            : ok
        state B closed                            : ok      # frozen ones too
        state A closed                            : ok
        state A closed                            : ok
        state A open                              : account_closed
        state A frozen                            : account_closed
        limits A floor=0                          : account_closed
        post T3 BANK -> A 1                       : credit_account_closed
        post T4 A -> BANK 1                       : debit_account_closed
        hold H2 BANK -> A 1                       : credit_account_closed
        state NOBODY frozen                       : account_unknown
        limits NOBODY floor=0                     : account_unknown
    """,
    "limits are set where what is there allows it": """
        account BANK
        account A floor=0
        post T1 BANK -> A 100                     : ok
        hold H1 A -> BANK 30                      : ok
        hold H2 BANK -> A 50                      : ok
        limits A floor=71                         : balance_below_floor
        limits A floor=70                         : ok
        see A available=0
        post T2 A -> BANK 1                       : insufficient_funds
        limits A floor=71 ceiling=149             : balance_below_floor
        limits A floor=0 ceiling=149              : balance_above_ceiling
        limits A floor=0 ceiling=150              : ok
        post T3 BANK -> A 1                       : ceiling_exceeded
        limits A                                  : ok
        see A floor=none ceiling=none available=none
        post T4 A -> BANK 1000                    : ok
        see A posted=-900
    """,
    "assets are counted apart, whatever their scale": """
        asset WATT 0
        account E1 asset=EUR
        account E2 asset=EUR
        account Y1 asset=JPY
        account Y2 asset=JPY
        account W1 asset=WATT
        account W2 asset=WATT
        begin
            post T1 E1 -> E2 100                  : ok
            post T2 Y1 -> Y2 100                  : ok
            post T3 W1 -> W2 1000000000000000000  : ok
            post T4 W1 -> Y2 1                    : asset_differs
        end
    """,
}
