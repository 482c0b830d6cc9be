"""How processes that were started together find each other, and none that were started before them."""

import time
from datetime import timedelta
from uuid import uuid4

from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

PATIENCE = timedelta(minutes=10)
"""How long they wait for each other."""
PAUSE = 0.02
"""Seconds between two looks at who has come."""


def meet() -> tuple[Store, int, int]:
    """A store that the processes of this start alone use, with this one's rank, and how many they are."""
    store, rank, world = next(rendezvous("env://", timeout=PATIENCE))
    return PrefixStore(agreed_name(store, rank, world), store), rank, world


def agreed_name(store: Store, rank: int, world: int) -> str:
    """A name that all processes alive agree on, and that none of those before them knew.

    torchrun keeps one store over all restarts, with the addresses of processes that are gone: whoever reads
    one waits for ever. Its count of restarts is no such name, for each machine has its own.
    """
    own = uuid4().hex
    if rank:
        store.set(f"headway/{rank}", own)
        name: str = store.get(f"headway/{own}").decode()  # waits for the answer
        store.set(f"headway/{name}/{rank}", "here")
        return name
    missing, end = set(range(1, world)), time.monotonic() + PATIENCE.total_seconds()
    while missing:
        if time.monotonic() > end:
            raise TimeoutError(f"{len(missing)} of {world} processes have not come in {PATIENCE}")
        for other in sorted(missing):
            if store.check([f"headway/{own}/{other}"]):
                missing.remove(other)
            elif store.check([f"headway/{other}"]):
                # perhaps of one that is gone: then nobody reads the answer
                store.set(f"headway/{store.get(f'headway/{other}').decode()}", own)
        time.sleep(PAUSE)
    return own
