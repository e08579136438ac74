"""Microsoft's description of Graph, as far as it is about mail and app registrations, as JSON.

Their SDK for Python is generated from their OpenAPI description and holds all of it that we look
at: of each path its template with the query parameters that it takes, the methods with the types
of body and answer; of each type its properties with their types. Types are named by their place
in the SDK, simple ones (`str`, `datetime`, …) as the SDK does, a list of T is `[T]`.
"""

import importlib.util
import json
import re
from pathlib import Path

ROOT = Path(importlib.util.find_spec("msgraph").submodule_search_locations[0], "generated")
ERROR = "models/o_data_errors/o_data_error"

TEMPLATE = re.compile(r'__init__\(request_adapter, "\{\+baseurl\}([^"]*)"')
METHOD = re.compile(
    r"async def (get|post|patch|put|delete)\(self,(?:body: (\w+), )?.*\) -> (?:Optional\[(\w+)\]|None):"
)
IMPORT = re.compile(r"from (\.+)([\w.]*) import (\w+)")
CLASS = re.compile(r"^class (\w+)\((\w+)", re.M)
MEMBER = re.compile(r'^    \w+ = "([^"]*)",', re.M)
PROPERTY = re.compile(r'^ +"([^"]+)": lambda n : setattr\(.*n\.get_(\w+)\((\w*)\)\),', re.M)
DERIVED = re.compile(r'"#microsoft\.graph\.(\w+)"\.casefold\(\):\s+from \S+ import (\w+)')


def imports(file, text):
    """The types that a file names, its own first, and where they are."""
    places = {CLASS.search(text)[1]: str(file.relative_to(ROOT).with_suffix(""))}
    for dots, module, name in IMPORT.findall(text):
        folder = file.parents[len(dots) - 1]
        place = folder.joinpath(*module.split("."))
        places[name] = str(place.relative_to(ROOT))
    return places


def kind(getter, name, places):
    if getter.startswith("collection"):
        return f"[{places.get(name, name)}]"
    return places[name] if name else getter.removesuffix("_value")


def operations():
    places = [f"users/item/{place}" for place in ["messages", "mail_folders", "send_mail"]]
    keys = ["add_key", "add_password", "remove_key", "remove_password"]
    places += [f"applications/item/{place}" for place in keys]
    places.append("applications_with_app_id")
    for place in places:
        for file in sorted((ROOT / place).rglob("*_request_builder.py")):
            text = file.read_text()
            places = imports(file, text)
            path, _, query = TEMPLATE.search(text)[1].partition("{?")
            methods = {
                method.upper(): {"body": places.get(body, body) or None, "answer": places.get(answer, answer) or None}
                for method, body, answer in METHOD.findall(text)
            }
            query = [name.replace("%24", "$") for name in query.strip("*}").split(",") if name]
            yield {"path": path, "query": query, "methods": methods}


def types(wanted):
    found = {}
    # A type that others only inherit from is not met itself, nor what else inherits from it.
    waiting = [(name, True) for name in wanted]
    met = set()
    while waiting:
        name, itself = waiting.pop()
        if (name, itself) in met or not (ROOT / f"{name}.py").is_file():
            continue
        met.add((name, itself))
        file = ROOT / f"{name}.py"
        text = file.read_text()
        places = imports(file, text)
        base = CLASS.search(text)[2]
        if base == "str":
            found[name] = {"values": MEMBER.findall(text)}
            continue
        properties = {own: kind(getter, of, places) for own, getter, of in PROPERTY.findall(text)}
        one = found.setdefault(name, {"derived": {}})
        one |= {"base": places.get(base), "properties": properties}
        if itself:
            one["derived"] = {f"#microsoft.graph.{n}": places[c] for n, c in DERIVED.findall(text)}
        waiting += [(kind.strip("[]"), True) for kind in properties.values()]
        waiting += [(derived, True) for derived in one["derived"].values()]
        if one["base"]:
            waiting.append((one["base"], False))
    return found


operations = list(operations())
wanted = {t for o in operations for m in o["methods"].values() for t in m.values() if t}
print(json.dumps({"operations": operations, "types": types(wanted | {ERROR}), "error": ERROR}))
