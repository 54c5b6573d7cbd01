"""Permission templates."""

from __future__ import annotations

import json
from typing import Any

from emulator.dms import DMS
from emulator.dms.common import PAGE, caller, cut, failure
from emulator.dms.permissions import check_date
from emulator.registry import Call
from emulator.store.dms import Target, Template


def _origin(template: Template) -> str:
    return f"Permission template {template.template_id}"


def _find(call: Call) -> Template:
    caller(call)
    template = call.world.dms.templates.get(call.number("TemplateId", 0))
    if template is None:
        raise failure(call, "TemplateNotExist", "The specified template does not exist.", 404)
    return template


def _view(template: Template) -> dict[str, Any]:
    return {
        "TemplateId": template.template_id, "Name": template.name, "Description": template.description,
        "CreateTime": template.created, "CreatorId": int(template.creator),
    }  # fmt: skip


def _items(template: Template) -> dict[str, Any]:
    return {"AuthorityTemplateItem": [
        {
            "ItemId": item.item_id, "TemplateId": template.template_id, "ResourceType": item.resource_type,
            "InstanceId": item.instance_id, "DbId": item.db_id, "TableName": item.table_name,
            "Attribute": json.dumps({"permissionTypes": item.perms}), "ModifierId": int(template.creator),
        }
        for item in template.items
    ]}  # fmt: skip


@DMS.action("ListAuthorityTemplate", f"Tid:int {PAGE} SearchKey")
def list_templates(call: Call) -> dict[str, Any]:
    """Templates by page of 5, 10 or 20."""
    caller(call)
    found = [item for item in call.world.dms.templates.values() if call.text("SearchKey") in item.name]
    page = cut(call, found, sizes=(5, 10, 20))
    views = {"AuthorityTemplateView": [_view(template) for template in page]}
    return {"AuthorityTemplateViewList": views, "TotalCount": len(found), "Tid": call.world.dms.tenant_id}


@DMS.action("GetAuthorityTemplate", "Tid:int TemplateId!:int")
def get_template(call: Call) -> dict[str, Any]:
    """One template with its items."""
    template = _find(call)
    view = {**_view(template), "AuthorityTemplateItemList": _items(template)}
    return {"AuthorityTemplateView": view, "Tid": call.world.dms.tenant_id}


@DMS.action("GetAuthorityTemplateItem", "Tid:int TemplateId!:int")
def get_template_items(call: Call) -> dict[str, Any]:
    """Items of one template."""
    return {"AuthorityTemplateItemList": _items(_find(call)), "Tid": call.world.dms.tenant_id}


def _users(call: Call) -> list[str]:
    text = call.text("UserIds").strip()
    try:
        ids = [str(item) for item in json.loads(text)] if text.startswith("[") else text.split(",")
    except (ValueError, TypeError):
        raise failure(call, "InvalidParameterValid", "UserIds must be a list of user ids.", 400) from None
    if unknown := [user for user in ids if user not in call.world.dms.users]:
        raise failure(call, "UserNotExist", f"The user {unknown[0]} does not exist.", 404)
    return ids


def _targets(call: Call, template: Template) -> list[tuple[Target, str]]:
    store, found = call.world.dms, []
    for item in template.items:
        database = store.databases.get(item.db_id)
        if item.resource_type == "INSTANCE":
            target = Target("INSTANCE", item.instance_id)
        elif database is None:
            continue
        elif item.resource_type.endswith("_DB"):
            kind = "LOGIC_DATABASE" if database.logic else "DATABASE"
            target = Target(kind, item.instance_id, item.db_id, database.logic)
        else:
            table = next((table for table in database.tables if table.name == item.table_name), None)
            if table is None:
                continue
            kind = "LOGIC_TABLE" if database.logic else "TABLE"
            target = Target(kind, item.instance_id, item.db_id, database.logic, table.table_id, table.name)
        found += [(target, perm) for perm in item.perms]
    return found


@DMS.action("GrantTemplateAuthority", "Tid:int TemplateId!:int UserIds! ExpireDate! Comment", write=True)
def grant_template(call: Call) -> dict[str, Any]:
    """Give users all items of a template: one record for each user, object and privilege."""
    template, users = _find(call), _users(call)
    check_date(call, call.text("ExpireDate"))
    for user in users:
        for target, perm in _targets(call, template):
            call.world.dms.add(user, target, perm, call.world.today, call.text("ExpireDate"), _origin(template))
    return {"Result": True}


@DMS.action("RevokeTemplateAuthority", "Tid:int TemplateId!:int UserIds!", write=True)
def revoke_template(call: Call) -> dict[str, Any]:
    """Take off the records that the template gave; others on the same objects stay."""
    template, users = _find(call), _users(call)
    removed = 0
    for user in users:
        for record in call.world.dms.of_user(user):
            if record.origin == _origin(template) and call.world.dms.remove(record.access_id):
                removed += 1
    return {"Result": removed > 0}
