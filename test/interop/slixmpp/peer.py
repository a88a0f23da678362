#!/usr/bin/python3
"""A customer on Debian's slixmpp and python-oldmemo, driven over pipes.

Nothing here shares code or lineage with the relay. Commands come in as lines of JSON
on standard input, what happens goes out as lines of JSON on standard output:

  {"do": "send", "to": jid, "text": text, "tag": tag}    -> {"event": "sent", "id", "tag"}
  {"do": "file", "to": jid, "path": path, "tag": tag}    -> {"event": "sent", "id", "tag"}
  {"do": "typing", "to": jid, "composing": bool}
  {"do": "quit"}                                         -> the process ends

  {"event": "online"}
  {"event": "text", "from", "id", "text"}
  {"event": "file", "from", "id", "name", "size", "sha256"}
  {"event": "delivered" | "read", "from", "id"}
  {"event": "typing", "from", "composing"}
  {"event": "failed", "what", "tag"}

Every message that arrives is acknowledged (XEP-0184) and marked as displayed
(XEP-0333). Keys and sessions are kept in the directory that is the third argument.
"""

import asyncio
import hashlib
import io
import json
import logging
import os
import pathlib
import sys
import xml.etree.ElementTree as ET

import aiohttp
import oldmemo
import oldmemo.etree
import omemo
import slixmpp
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.plugins.xep_0454 import XEP_0454
from slixmpp.xmlstream.handler import CoroutineCallback
from slixmpp.xmlstream.matcher import MatchXPath

NS = oldmemo.oldmemo.NAMESPACE
DEVICES = NS + ".devicelist"
BUNDLES = NS + ".bundles:"
TRUSTED = "blind"


def emit(event, **fields):
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


class Storage(omemo.Storage):
    """One JSON file, replaced as a whole with every change."""

    def __init__(self, path):
        super().__init__(disable_cache=True)
        self.path = path
        self.data = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                self.data = json.load(f)

    def keep(self):
        with open(self.path + ".new", "w", encoding="utf-8") as f:
            json.dump(self.data, f)
        os.replace(self.path + ".new", self.path)

    async def _load(self, key):
        return omemo.storage.Just(self.data[key]) if key in self.data else omemo.storage.Nothing()

    async def _store(self, key, value):
        self.data[key] = value
        self.keep()

    async def _delete(self, key):
        self.data.pop(key, None)
        self.keep()


def session_manager(client):
    """The library's session manager, at home on our client's PEP."""
    pubsub = client["xep_0060"]

    async def publish(node, payload):
        form = client["xep_0004"].make_form(ftype="submit")
        form.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/pubsub#publish-options")
        form.add_field(var="pubsub#access_model", value="open")
        form.add_field(var="pubsub#persist_items", value="true")
        await pubsub.publish(client.boundjid.bare, node, id="current", payload=payload, options=form)

    async def newest(jid, node):
        answer = await pubsub.get_items(jid, node, max_items=1)
        for item in answer["pubsub"]["items"]:
            return item["payload"]
        return None

    class Manager(omemo.SessionManager):
        @staticmethod
        async def _upload_bundle(bundle):
            try:
                await publish(BUNDLES + str(bundle.device_id), oldmemo.etree.serialize_bundle(bundle))
            except (IqError, IqTimeout) as e:
                raise omemo.BundleUploadFailed() from e

        @staticmethod
        async def _download_bundle(namespace, bare_jid, device_id):
            try:
                payload = await newest(bare_jid, BUNDLES + str(device_id))
            except (IqError, IqTimeout) as e:
                raise omemo.BundleDownloadFailed() from e
            if payload is None:
                raise omemo.BundleNotFound()
            return oldmemo.etree.parse_bundle(payload, bare_jid, device_id)

        @staticmethod
        async def _delete_bundle(namespace, device_id):
            await pubsub.delete_node(client.boundjid.bare, BUNDLES + str(device_id))

        @staticmethod
        async def _upload_device_list(namespace, device_list):
            try:
                await publish(DEVICES, oldmemo.etree.serialize_device_list(device_list))
            except (IqError, IqTimeout) as e:
                raise omemo.DeviceListUploadFailed() from e

        @staticmethod
        async def _download_device_list(namespace, bare_jid):
            try:
                payload = await newest(bare_jid, DEVICES)
            except IqError as e:
                if e.condition == "item-not-found":
                    return {}
                raise omemo.DeviceListDownloadFailed() from e
            except IqTimeout as e:
                raise omemo.DeviceListDownloadFailed() from e
            return {} if payload is None else oldmemo.etree.parse_device_list(payload)

        async def _evaluate_custom_trust_level(self, device):
            return omemo.TrustLevel.TRUSTED

        async def _make_trust_decision(self, undecided, identifier):
            for device in undecided:
                await self.set_trust(device.bare_jid, device.identity_key, TRUSTED)

        @staticmethod
        async def _send_message(message, bare_jid):
            client.send_encrypted(bare_jid, message, content=False)

    return Manager


class Client(slixmpp.ClientXMPP):
    def __init__(self, jid, password, home):
        super().__init__(jid + "/slixmpp", password)
        self.home = home
        self.manager = None
        self.arrived = asyncio.Queue()
        for plugin in ("xep_0004", "xep_0030", "xep_0060", "xep_0085", "xep_0184", "xep_0333", "xep_0334",
                       "xep_0363", "xep_0380", "xep_0454"):
            self.register_plugin(plugin)
        self["xep_0184"].auto_ack = False  # only what was decrypted is acknowledged
        self["xep_0184"].auto_request = False
        self.add_event_handler("session_start", self.started)
        self.add_event_handler("failed_auth", lambda _: emit("failed", what="authentication", tag=""))
        self.add_event_handler("receipt_received", lambda m: emit("delivered", id=m["receipt"], **{"from": m["from"].bare}))
        self.add_event_handler("marker_displayed", lambda m: emit("read", id=m["displayed"]["id"], **{"from": m["from"].bare}))
        self.add_event_handler("chatstate_composing", lambda m: emit("typing", composing=True, **{"from": m["from"].bare}))
        self.add_event_handler("chatstate_active", lambda m: emit("typing", composing=False, **{"from": m["from"].bare}))
        self.register_handler(CoroutineCallback(
            "OMEMO", MatchXPath("{jabber:client}message/{%s}encrypted" % NS), self.note))

    async def note(self, message):
        await self.arrived.put(message)

    async def started(self, _):
        storage = Storage(os.path.join(self.home, "omemo.json"))
        self.manager = await session_manager(self).create(
            [oldmemo.Oldmemo(storage)], storage, self.boundjid.bare, None, TRUSTED)
        await self.get_roster()
        self.send_presence()  # from now on messages arrive
        await self.manager.after_history_sync()
        emit("online")

    def send_encrypted(self, to, message, content):
        stanza = self.make_message(mto=to, mtype="chat")
        stanza["id"] = self.new_id()
        stanza.append(oldmemo.etree.serialize_message(message))
        stanza["eme"]["namespace"], stanza["eme"]["name"] = NS, "OMEMO"
        stanza.enable("store")
        if content:
            stanza["body"] = "This message is encrypted."
            stanza["request_receipt"] = True
            stanza["markable"] = True
        stanza.send()
        return stanza["id"]

    async def say(self, to, text):
        try:
            await self.manager.refresh_device_list(NS, to)  # a stranger's changes are not notified
        except omemo.DeviceListDownloadFailed as e:
            logging.warning("using the devices known before: %r", e)
        messages, errors = await self.manager.encrypt(frozenset([to]), {NS: text.encode()})
        for e in errors:
            logging.warning("a device was left out: %r", e)
        for message in messages:
            sent = self.send_encrypted(to, message, content=True)
            # slixmpp sends later: the server's answer to what is sent behind it says that the server has it.
            await self["xep_0030"].get_info(jid=self.boundjid.domain)
            return sent

    async def find_uploads(self):
        """Finds the upload service: slixmpp 1.8.3's own search fails on Python 3.11."""
        disco = self["xep_0030"]
        items = await disco.get_items(jid=self.boundjid.domain)
        for jid, _, _ in items["disco_items"]["items"]:
            info = await disco.get_info(jid=jid)
            if "urn:xmpp:http:upload:0" in info["disco_info"]["features"]:
                self["xep_0363"].upload_service = slixmpp.JID(jid)

    async def send_file(self, to, path):
        if self["xep_0363"].upload_service is None:
            await self.find_uploads()
        with open(path, "rb") as f:
            link = await self["xep_0454"].upload_file(filename=pathlib.Path(path), input_file=f, timeout=30)
        return await self.say(to, link)

    async def read_all(self):
        """Decrypts what arrives, one message after another."""
        while True:
            message = await self.arrived.get()
            try:
                await self.read(message)
            except Exception as e:  # a test reads what failed
                logging.exception("a message did not open")
                emit("failed", what=type(e).__name__, tag=message["id"])

    async def read(self, stanza):
        sender = stanza["from"].bare
        element = stanza.xml.find("{%s}encrypted" % NS)
        message = await oldmemo.etree.parse_message(element, sender, self.boundjid.bare, self.manager)
        plain, _, _ = await self.manager.decrypt(message)
        if plain is None:
            return
        text = plain.decode()
        if text.startswith("aesgcm://"):
            content = await fetch(text)
            emit("file", id=stanza["id"], size=len(content), sha256=hashlib.sha256(content).hexdigest(),
                 name=text.partition("#")[0].rpartition("/")[2], **{"from": sender})
        else:
            emit("text", id=stanza["id"], text=text, **{"from": sender})
        if stanza.xml.find("{urn:xmpp:receipts}request") is not None:
            self["xep_0184"].ack(stanza)
        if stanza.xml.find("{urn:xmpp:chat-markers:0}markable") is not None:
            self["xep_0333"].send_marker(stanza["from"], stanza["id"], "displayed")

    async def obey(self, order):
        match order["do"]:
            case "send":
                return await self.say(order["to"], order["text"])
            case "file":
                return await self.send_file(order["to"], order["path"])
            case "typing":
                state = self.make_message(mto=order["to"], mtype="chat")
                state["chat_state"] = "composing" if order["composing"] else "paused"
                state.send()
        return ""

    async def obey_all(self, orders):
        while line := await orders.readline():
            order = json.loads(line)
            if order["do"] == "quit":
                return
            try:
                emit("sent", id=await self.obey(order), tag=order.get("tag", ""))
            except Exception as e:  # a test reads what failed
                logging.exception("an order failed")
                emit("failed", what=type(e).__name__, tag=order.get("tag", ""))


async def fetch(link):
    address, _, fragment = link.partition("#")
    async with aiohttp.ClientSession() as web:
        async with web.get("https://" + address.removeprefix("aesgcm://"), raise_for_status=True) as answer:
            return XEP_0454.decrypt(io.BytesIO(await answer.read()), fragment)


async def main(jid, address, home, ca):
    password = os.environ["PEER_PASSWORD"]
    client = Client(jid, password, home)
    client.ca_certs = ca
    host, _, port = address.rpartition(":")
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    client.connect(address=(host, int(port)), force_starttls=True)
    reading = asyncio.create_task(client.read_all())
    await client.obey_all(reader)
    await client.disconnect(wait=5)
    reading.cancel()


if __name__ == "__main__":
    logging.basicConfig(level=os.environ.get("PEER_LOG", "WARNING"), stream=sys.stderr)
    asyncio.run(main(*sys.argv[1:5]))
