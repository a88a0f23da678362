#!/usr/bin/python3
"""A device on Debian's python3-twomemo, with one peer, driven over pipes.

Nothing here shares code or lineage with the relay. Each line of standard input is an order in JSON,
each line of standard output its answer; bytes are hexadecimal.

  {"do": "bundle"}                        -> {"ik", "spk", "spk_id", "spks", "pks": [[id, key]]}
  {"do": "start", bundle}                 -> {}   the next "seal" begins a session
  {"do": "seal", "text"}                  -> {"kex", "data"}
  {"do": "open", "kex", "data"}           -> {"text"}
  {"do": "encrypt", "text"}               -> {"payload", "key"}
  {"do": "decrypt", "payload", "key"}     -> {"text"}

What the library refuses is answered by {"error": the exception's name}.
"""

import asyncio
import json
import sys

import omemo
import x3dh
from twomemo.twomemo import (BundleImpl, ContentImpl, EncryptedKeyMaterialImpl, KeyExchangeImpl, PlainKeyMaterialImpl,
                             Twomemo)

PEER, DEVICE = "peer@example.org", 1
OWN = "own@example.org"
KEY = 32
PRE_KEYS = 5  # fewer than a client publishes: making them takes time


class Memory(omemo.Storage):
    def __init__(self):
        super().__init__(disable_cache=True)
        self.data = {}

    async def _load(self, key):
        return omemo.storage.Just(self.data[key]) if key in self.data else omemo.storage.Nothing()

    async def _store(self, key, value):
        self.data[key] = value

    async def _delete(self, key):
        self.data.pop(key, None)


class Peer:
    def __init__(self):
        self.backend = Twomemo(Memory())
        self.session = None
        self.begun = None  # the bundle to begin a session with
        self.passive = False

    async def bundle(self, _):
        await self.backend.generate_pre_keys(PRE_KEYS - await self.backend.get_num_visible_pre_keys())
        b = await self.backend.get_bundle(OWN, DEVICE)
        return {
            "ik": b.bundle.identity_key.hex(), "spk": b.bundle.signed_pre_key.hex(), "spk_id": b.signed_pre_key_id,
            "spks": b.bundle.signed_pre_key_sig.hex(),
            "pks": [[b.pre_key_ids[k], k.hex()] for k in b.bundle.pre_keys],
        }

    async def start(self, order):
        keys = {bytes.fromhex(k): i for i, k in order["pks"]}
        self.begun = BundleImpl(PEER, DEVICE, x3dh.Bundle(
            bytes.fromhex(order["ik"]), bytes.fromhex(order["spk"]), bytes.fromhex(order["spks"]), frozenset(keys),
        ), order["spk_id"], keys)
        return {}

    async def seal(self, order):
        text = bytes.fromhex(order["text"])
        material = PlainKeyMaterialImpl(text[:KEY], text[KEY:])
        if self.begun is not None:
            self.session, sealed = await self.backend.build_session_active(PEER, DEVICE, self.begun, material)
            self.begun, self.passive = None, False
        else:
            sealed = await self.backend.encrypt_key_material(self.session, material)
        if self.passive or self.session.confirmed:
            return {"kex": False, "data": sealed.serialize().hex()}
        return {"kex": True, "data": self.session.key_exchange.serialize(sealed.serialize()).hex()}

    async def open(self, order):
        data = bytes.fromhex(order["data"])
        exchange = None
        if order["kex"]:
            exchange, data = KeyExchangeImpl.parse(data)
        sealed = EncryptedKeyMaterialImpl.parse(data, PEER, DEVICE)
        if exchange is not None and not (self.session and self.session.key_exchange.header.ephemeral_key == exchange.header.ephemeral_key):
            self.session, material = await self.backend.build_session_passive(PEER, DEVICE, exchange, sealed)
            self.passive = True
            await self.backend.hide_pre_key(self.session)
        else:
            material = await self.backend.decrypt_key_material(self.session, sealed)
        return {"text": (material.key + material.auth_tag).hex()}

    async def encrypt(self, order):
        content, material = await self.backend.encrypt_plaintext(bytes.fromhex(order["text"]))
        return {"payload": content.ciphertext.hex(), "key": (material.key + material.auth_tag).hex()}

    async def decrypt(self, order):
        key = bytes.fromhex(order["key"])
        material = PlainKeyMaterialImpl(key[:KEY], key[KEY:])
        return {"text": (await self.backend.decrypt_plaintext(ContentImpl(bytes.fromhex(order["payload"])), material)).hex()}


async def main():
    peer = Peer()
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = await getattr(peer, order["do"])(order)
        except Exception as e:  # a test reads what failed
            print(repr(e), file=sys.stderr)
            answer = {"error": type(e).__name__}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


asyncio.run(main())
