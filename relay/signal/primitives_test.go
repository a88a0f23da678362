package signal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"

	"github.com/cloudflare/circl/dh/x25519"
)

// primitives runs the protocol's cryptography alone.
type primitives struct {
	scalar, point, shared x25519.Key
	key                   [32]byte
	iv                    [16]byte
	body                  []byte
	hashed                []byte // a pad block and up to a whole message
}

func newPrimitives(size int) *primitives {
	p := &primitives{scalar: x25519.Key{1, 2, 3}, point: x25519.Key{9}}
	p.body = make([]byte, sealedSize(size))
	p.hashed = make([]byte, sha256.BlockSize+2*PublicKeySize+50+len(p.body))
	return p
}

// hmacs computes n HMACs of size bytes: a pad block and the message, a pad block
// and a digest.
func (p *primitives) hmacs(n, size int) {
	for range n {
		sha256.Sum256(p.hashed[:sha256.BlockSize+size])
		sha256.Sum256(p.hashed[:sha256.BlockSize+sha256.Size])
	}
}

// message is what one message of a chain takes: the chain's two HMACs, the key
// derivation's four, the code, and the cipher.
func (p *primitives) message(encrypt bool) {
	p.hmacs(2, 1)
	p.hmacs(1, 32)
	p.hmacs(1, len(infoMessage)+1)
	p.hmacs(2, 32+len(infoMessage)+1)
	p.hmacs(1, len(p.hashed)-sha256.BlockSize)
	block, err := aes.NewCipher(p.key[:])
	if err != nil {
		panic(err)
	}
	mode := cipher.NewCBCDecrypter(block, p.iv[:])
	if encrypt {
		mode = cipher.NewCBCEncrypter(block, p.iv[:])
	}
	mode.CryptBlocks(p.body, p.body)
}

func (p *primitives) keyPair() { x25519.KeyGen(&p.shared, &p.scalar) }

func (p *primitives) agreements(n int) {
	for range n {
		x25519.Shared(&p.shared, &p.scalar, &p.shared)
	}
}

func (p *primitives) derive(info string) {
	if _, err := hkdf.Key(sha256.New, p.shared[:], p.key[:], info, 64); err != nil {
		panic(err)
	}
}

// ratchetStep begins a sending chain, receivedStep a receiving one.
func (p *primitives) ratchetStep() {
	p.keyPair()
	p.receivedStep()
}

func (p *primitives) receivedStep() {
	p.agreements(1)
	p.derive(infoRatchet)
}
