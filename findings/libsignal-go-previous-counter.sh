#!/bin/bash
# go.mau.fi/libsignal: the first reply in a session has 4294967295 in the field previousCounter (the
# length of the sender's previous chain).
#
# In the Double Ratchet a responder starts without a chain that it sent before, so a reader of the
# specification (Signal, "The Double Ratchet Algorithm", sections 3.3 and 3.5: PN begins at 0, and becomes
# the length of the previous sending chain) expects 0. The library computes "index of the previous
# sending chain minus one, but at least 0" in unsigned arithmetic, where the subtraction wraps before the
# lower bound is applied. Its own receiver never reads the number. A receiver that follows the specification
# to count the messages still missing from that chain counts wrong.
# So: ignore the number unless it is plausible.
#
# Source: session/SessionCipher.go of the module, getOrCreateChainKey; and the output below.
. "$(dirname "$0")/lib/common.sh"

version=v0.2.1
cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"

	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/serialize"
	"go.mau.fi/libsignal/session"
	"go.mau.fi/libsignal/state/record"
	"go.mau.fi/libsignal/tests"
	"go.mau.fi/libsignal/util/keyhelper"
	"go.mau.fi/libsignal/util/optional"
	"google.golang.org/protobuf/proto"
)

type party struct {
	ids      *tests.InMemoryIdentityKey
	pre      *tests.InMemoryPreKey
	signed   *tests.InMemorySignedPreKey
	sessions *tests.InMemorySession
	builder  *session.Builder
	cipher   *session.Cipher
}

func must[T any](v T, err error) T {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	return v
}

func newParty(peer *protocol.SignalAddress, s *serialize.Serializer) *party {
	p := &party{
		ids:      tests.NewInMemoryIdentityKey(must(keyhelper.GenerateIdentityKeyPair()), keyhelper.GenerateRegistrationID()),
		pre:      tests.NewInMemoryPreKey(),
		signed:   tests.NewInMemorySignedPreKey(),
		sessions: tests.NewInMemorySession(s),
	}
	p.builder = session.NewBuilder(p.sessions, p.pre, p.signed, p.ids, peer, s)
	p.cipher = session.NewCipher(p.builder, peer)
	return p
}

func previousCounter(serialized []byte) uint32 {
	var m serialize.SignalMessage
	if err := proto.Unmarshal(serialized[1:len(serialized)-8], &m); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	return m.GetPreviousCounter()
}

func main() {
	ctx := context.Background()
	s := serialize.NewProtoBufSerializer()
	alice := newParty(protocol.NewSignalAddress("bob", 2), s)
	bob := newParty(protocol.NewSignalAddress("alice", 1), s)

	one := must(keyhelper.GeneratePreKeys(1, 1, s.PreKeyRecord))[0]
	signed := must(keyhelper.GenerateSignedPreKey(bob.ids.GetIdentityKeyPair(), 1, s.SignedPreKeyRecord))
	_ = bob.pre.StorePreKey(ctx, 1, record.NewPreKey(1, one.KeyPair(), s.PreKeyRecord))
	_ = bob.signed.StoreSignedPreKey(ctx, 1, signed)
	bundle := prekey.NewBundle(bob.ids.GetLocalRegistrationID(), 2, optional.NewOptionalUint32(1), 1,
		one.KeyPair().PublicKey(), signed.KeyPair().PublicKey(), signed.Signature(), bob.ids.GetIdentityKeyPair().PublicKey())
	if err := alice.builder.ProcessBundle(ctx, bundle); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}

	first := must(alice.cipher.Encrypt(ctx, []byte("hello")))
	received := must(protocol.NewPreKeySignalMessageFromBytes(first.Serialize(), s.PreKeySignalMessage, s.SignalMessage))
	must(bob.cipher.DecryptMessage(ctx, received))
	reply := must(bob.cipher.Encrypt(ctx, []byte("hello to you")))
	fmt.Println("previousCounter of the first reply:", previousCounter(reply.Serialize()))
}
GO
go_program "go.mau.fi/libsignal@$version"
echo "go.mau.fi/libsignal $version"
expect "previousCounter of the first reply: 4294967295" ./program
