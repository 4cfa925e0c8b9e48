"""Whose a conversation is, as plugins see it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from fernamt._store.statements import Row, Statements
from fernamt.model import Address, Conversation, ConversationId, ConversationState, Customer, CustomerId


def grouped(rows: Iterable[Row]) -> defaultdict[Any, list[Row]]:
    """Return what stands behind the first value of each row, by that value."""
    grouped: defaultdict[Any, list[Row]] = defaultdict(list)
    for key, *rest in rows:
        grouped[key].append(tuple(rest))
    return grouped


def whose(do: Statements, numbers: Collection[int]) -> dict[int, tuple[Conversation, Customer]]:
    """Return conversations and their customers as plugins see them."""
    rows = do.among(
        "SELECT v.id, v.customer, v.kind, v.state, v.language, v.last_n, p.linked FROM conversation v"
        " JOIN customer p ON p.id = v.customer WHERE v.id IN {}",
        sorted(numbers),
    )
    tied = do.pointers(sorted({row[1] for row in rows if row[6]}), customers=True)
    members = {row[1]: tied.members(row[1]) for row in rows}
    people = grouped(
        do.among(
            "SELECT p.id, p.name, p.language, p.plan, a.handle FROM customer p LEFT JOIN address a ON a.customer = p.id"
            " AND substr(a.handle, 1, 7) <> 'erased:' WHERE p.id IN {} ORDER BY a.id",
            sorted({one for some in members.values() for one in some}),
        )
    )
    return {
        number: (
            Conversation(
                id=ConversationId(str(number)),
                customer=CustomerId(str(members[customer][0])),
                kind=kind,
                state=ConversationState(state),
                language=language,
                last_n=last_n,
            ),
            _person(members[customer], people),
        )
        for number, customer, kind, state, language, last_n, _ in rows
    }


def _person(members: Sequence[int], people: Mapping[int, list[Row]]) -> Customer:
    name, language, plan, _ = people[members[0]][0]
    return Customer(
        id=CustomerId(str(members[0])),
        name=name,
        addresses=tuple(Address.parse(row[3]) for one in members for row in people[one] if row[3]),
        language=language,
        plan=plan,
    )
