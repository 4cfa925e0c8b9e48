"""What plugins do for an erasure and for an export: as durable tasks, and while it is made."""

import asyncio
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pluggy
import pytest

from fernamt import hookspecs
from fernamt._runtime.clock import SystemClock
from fernamt._runtime.duties import Collected, collect, erase_again, eraser, erasing
from fernamt._runtime.hooks import Plugins
from fernamt._runtime.loader import Loaded, PluginFailure
from fernamt._runtime.plan import Plan
from fernamt._store.channels import Entrance, enter
from fernamt._store.engine import Store
from fernamt._store.erasure import erase, list_beside, write_list
from fernamt._store.names import Names
from fernamt._store.reception import Line, Reception, Submission
from fernamt._store.tasks import Task
from fernamt.hookspecs import Duty, Subject, hookimpl
from fernamt.inbound import Received
from fernamt.model import Address, CustomerId, Json
from fernamt.registry import Offers
from fernamt.settings import read_settings

ANN = Address("email", "ann@example.org")


class Crm:
    """A plugin that keeps something of people."""

    def __init__(self, *, fails: bool = False) -> None:
        self.erased: list[Subject] = []
        self.fails = fails

    def _duty(self, subject: Subject) -> Duty:
        async def duty(context: Any) -> dict[str, Json]:
            assert context.clock is not None
            if self.fails:
                raise ConnectionError("the card index is shut")
            self.erased.append(subject)
            return {"card": f"of {subject.addresses[0]}"}

        return duty

    @hookimpl
    def fernamt_erase(self, subject: Subject) -> Duty:
        return self._duty(subject)

    @hookimpl
    def fernamt_export(self, subject: Subject) -> Duty:
        return self._duty(subject)


def loaded(*failures: PluginFailure, **plugins: object) -> Loaded:
    registered = pluggy.PluginManager(hookspecs.PROJECT)
    registered.add_hookspecs(hookspecs)
    for name, plugin in plugins.items():
        registered.register(plugin, name=name)
    offers = {name: Offers(plugin=name) for name in plugins}
    return Loaded(plugins=Plugins(registered), offers=offers, failures=failures, installed=MappingProxyType({}))


BROKEN = PluginFailure(name="tickets", distribution="d", version="1", cause="it cannot be imported", remedy="Mend it")


def task(addresses: list[str]) -> Task:
    data = {"customer": "7", "addresses": addresses}
    return Task(
        id=1, owner="work:crm", kind="duty", key="k", conversation=None, n=None, data=data, due_us=0, tries=0,
        reason="", since_us=0,
    )  # fmt: skip


async def carried_out(plugins: Plugins) -> None:
    context: Any = type("Context", (), {"clock": SystemClock()})
    await eraser(plugins, "crm", context)(task([str(ANN)]))


def test_a_duty_is_run_with_the_person_as_they_were_known() -> None:
    crm = Crm()
    plugins = loaded(crm=crm).plugins
    asyncio.run(carried_out(plugins))
    assert crm.erased == [Subject(customer=CustomerId("7"), addresses=(ANN,))]


def test_a_duty_that_fails_says_so_to_whoever_tries_again() -> None:
    with pytest.raises(ConnectionError, match="shut"):
        asyncio.run(carried_out(loaded(crm=Crm(fails=True)).plugins))


def test_a_plugin_that_cannot_be_asked_now_has_its_duty_all_the_same() -> None:
    assert erasing(loaded(BROKEN, crm=Crm(), other=object())) == ("crm", "tickets")


def test_an_export_names_the_plugins_that_failed_and_has_what_the_others_gave(store: Store, tmp_path: Path) -> None:
    (tmp_path / "fernamt.toml").write_text("")
    settings = read_settings(tmp_path / "fernamt.toml")
    planned = Plan(loaded=loaded(BROKEN, crm=Crm(), shut=Crm(fails=True)), channels=(), plugin_settings={})
    subject = Subject(customer=CustomerId("1"), addresses=(ANN,))
    collected = asyncio.run(collect(settings, store, planned, subject))
    assert collected == Collected(
        given={"crm": {"card": f"of {ANN}"}},
        failed={"tickets": str(BROKEN), "shut": "ConnectionError: the card index is shut"},
    )


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_daemon_erases_again_whom_a_backup_brought_back(store: Store) -> None:
    erase_again(store, loaded())  # without a list nothing is done
    session = store.session()
    with session.transaction() as tx:
        line = Line(number=enter(tx, [Entrance(id="mail", kind="email", label="Mail")])[0], id="mail")
        event = Received(key="k", sender=ANN, text="a secret")
        Reception(Names(store.keys()))(tx, [Submission(line=line, events=(event,))])
    erase(store, 1, plugins=())
    path = list_beside(store)
    assert path is not None
    write_list(path, store)
    with session.transaction() as tx:
        tx.do.one("DELETE FROM erased")
        tx.do.one("UPDATE address SET handle = ?", (str(ANN),))
        tx.do.one("UPDATE content SET text = 'a secret'")
    erase_again(store, loaded(crm=Crm()))
    with session.transaction() as tx:
        assert tx.do.rows("SELECT text FROM content") == [("",)]
        assert tx.do.rows("SELECT owner, kind FROM task") == [("work:crm", "duty")]
    path.write_text("nonsense")
    erase_again(store, loaded())  # is told, and stops no start
    session.close()
