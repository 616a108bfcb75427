"""Compares what a facility received with the bundles that were imported, value by value.

Usage: compare.py RESOURCES.NDJSON BUNDLE...

Numbers are compared as they are written (1.0 is not 1.00), keys in any order. A resource that had no
id may have got one. Exits 0 if every distinct resource arrived exactly once and nothing else did.
"""

import json
import sys


class Repeated(Exception):
    """An object with one key twice, which no two readers take alike."""


def as_written(text):
    return {"\0number": text}


def ordered(pairs):
    keys = [key for key, _ in pairs]
    if len(keys) != len(set(keys)):
        raise Repeated(keys)
    return dict(pairs)


def read(text):
    return json.loads(
        text,
        parse_float=as_written,
        parse_int=as_written,
        parse_constant=as_written,
        object_pairs_hook=ordered,
    )


def canonical(value):
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def without_id(value):
    return {key: inner for key, inner in value.items() if key != "id"}


def main():
    wanted = set()
    nameless = set()
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as file:
            bundle = read(file.read())
        for entry in bundle["entry"]:
            resource = entry["resource"]
            (wanted if "id" in resource else nameless).add(canonical(resource))
    received = []
    with open(sys.argv[1], encoding="utf-8") as file:
        for line in file.read().split("\n"):
            if line:
                received.append(read(line))
    texts = [canonical(resource) for resource in received]
    extra = []
    for resource, text in zip(received, texts):
        if text in wanted:
            continue
        bare = canonical(without_id(resource))
        if bare in nameless:
            nameless.remove(bare)
        else:
            extra.append(text[:200])
    missing = [text[:200] for text in wanted if text not in texts] + sorted(nameless)
    twice = len(texts) - len(set(texts))
    print(json.dumps({"received": len(texts), "missing": missing, "extra": extra, "twice": twice}))
    sys.exit(1 if missing or extra or twice else 0)


main()
