#!/usr/bin/env python3
"""Checks certificates with other people's libraries: pycose, cbor2 and blake3.

Reads from stdin what `cargo run -p huza-crdt --example certificates` prints and verifies, without a
line of huza's own code: the COSE_Sign1 structure and its canonical CBOR, `alg`, `kid`, the signature
by the issuer's key, the claims, that authority and areas narrow along the chain, that the chain
begins with the programme's key, and that no changed byte passes. Format: docs/wire.md, section 5.
Claims it does not know are listed and do no harm.

    pip install pycose blake3
"""

import json
import sys

import cbor2
from blake3 import blake3
from pycose.algorithms import EdDSA
from pycose.headers import KID, Algorithm
from pycose.keys import OKPKey
from pycose.keys.curves import Ed25519
from pycose.messages import Sign1Message

ISS, EXP, IAT, CNF = 1, 4, 6, 8
ROLE, AREAS, SEALING = -70001, -70002, -70003
KNOWN = {ISS, EXP, IAT, CNF, ROLE, AREAS, SEALING}
AUTHORITY = 1
CHAIN_MAX = 4


class Refused(Exception):
    pass


def demand(holds, why):
    if not holds:
        raise Refused(why)


def derived(context, *parts):
    """The first 16 bytes of BLAKE3 in its key-derivation mode, over parts behind their length."""
    hasher = blake3(derive_key_context=context)
    for part in parts:
        hasher.update(len(part).to_bytes(8, "little") + part)
    return hasher.digest()[:16]


def read(cose, key, kid):
    """The claims of a certificate that the holder of `key`, known as `kid`, signed."""
    structure = cbor2.loads(cose)
    demand(isinstance(structure, list) and len(structure) == 4, "no COSE_Sign1")
    demand(cbor2.dumps(structure) == cose, "not in its one spelling")
    demand(structure[1] == {}, "an unprotected header")
    message = Sign1Message.from_cose_obj(structure, True)
    demand(set(message.phdr) == {Algorithm, KID}, "other headers")
    demand(message.phdr[Algorithm] is EdDSA, "alg")
    demand(message.phdr[KID] == kid, "kid")
    message.key = OKPKey(crv=Ed25519, x=key)
    demand(message.verify_signature(), "signature")
    claims = cbor2.loads(message.payload)
    demand(cbor2.dumps(claims) == message.payload, "claims not in their one spelling")
    return claims


def device(claims):
    """The holder's key out of `cnf` (RFC 8747, COSE_Key)."""
    cose_key = claims[CNF][1]
    demand(cose_key[1] == 1 and cose_key[-1] == 6 and len(cose_key[-2]) == 32, "cnf")
    return cose_key[-2]


def within(area, areas):
    """Each area is a prefix of what lies in it: nothing, a catchment's tag, an area's tag."""
    return any(area.startswith(outer) for outer in areas)


def verify(root, chain):
    """The claims of the last certificate of a chain that begins under the programme's key."""
    demand(1 <= len(chain) <= CHAIN_MAX, "length of the chain")
    programme = derived("huza 2026 programme", root)
    key, kid, above = root, programme, None
    for cose in chain:
        claims = read(cose, key, kid)
        demand(claims[ISS] == programme.hex(), "iss")
        demand(isinstance(claims[EXP], int) and claims[EXP] > claims[IAT], "exp")
        demand(claims[ROLE] in range(1, 6) and len(claims[SEALING]) == 32, "role or sealing")
        demand(all(len(area) in (0, 8, 16) for area in claims[AREAS]), "areas")
        if above:
            demand(above[ROLE] == AUTHORITY, "its issuer is no authority")
            demand(all(within(area, above[AREAS]) for area in claims[AREAS]), "outside its issuer")
        key, kid, above = device(claims), derived("huza 2026 certificate id", cose), claims
    return claims


def refuses(root, chain):
    try:
        verify(root, chain)
    # A decoder may fail in any way that it likes.
    except Exception:  # noqa: BLE001
        return True
    return False


def as_told(claims, told):
    """Whether a certificate says what its maker meant."""
    catchment = bytes.fromhex(told["catchment"])
    demand(claims[ISS] == told["programme"], "programme")
    demand(device(claims).hex() == told["device"], "device")
    demand(claims[SEALING].hex() == told["sealing"], "sealing")
    demand(claims[ROLE] == told["role"], "role")
    demand(claims[IAT] == told["issued"], "issued")
    if told["villages"]:
        demand(len(claims[AREAS]) == told["villages"], "villages")
        demand(all(len(area) == 16 and within(area, [catchment]) for area in claims[AREAS]), "areas")
    else:
        demand(claims[AREAS] == [catchment], "catchment")


def check(told):
    root, chain = bytes.fromhex(told["root"]), [bytes.fromhex(one) for one in told["chain"]]
    claims = verify(root, chain)
    as_told(claims, told["claims"])
    for link, cose in enumerate(chain):
        for at in range(len(cose)):
            altered = cose[:at] + bytes([cose[at] ^ 1]) + cose[at + 1 :]
            demand(refuses(root, chain[:link] + [altered] + chain[link + 1 :]), f"byte {at} passes")
        demand(refuses(root, chain[:link] + [cose + b"\0"] + chain[link + 1 :]), "a tail passes")
    demand(refuses(chain[0][-32:], chain), "another root passes")
    demand(refuses(root, chain[1:]), "a chain without its beginning passes")
    demand(refuses(root, chain[::-1]), "a chain upside down passes")
    extra = sorted(set(claims) - KNOWN)
    length = sum(map(len, chain))
    print(f"role {claims[ROLE]}: chain of {len(chain)}, {length} bytes, none may change; other claims: {extra}")


def main():
    lines = [json.loads(line) for line in sys.stdin if line.strip()]
    demand(lines, "no certificates")
    for told in lines:
        check(told)
    print(f"{len(lines)} chains verified")


if __name__ == "__main__":
    main()
