"""Tenants for those who make a load; there is no other way yet to add one."""

from __future__ import annotations

from unbusy.db import Tx


async def add_tenant(tx: Tx, tenant_id: int, slug: str) -> None:
    await tx.execute(
        "INSERT INTO tenants.tenants (id, slug) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING", tenant_id, slug
    )
