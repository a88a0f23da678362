package cloudapi

// Encryption is the number's payload encryption: what the business and the relay encrypt for each
// other inside TLS.
type Encryption struct {
	// Fingerprint names the business's public key, and IsKey says whether a key in PEM is that one.
	Fingerprint string
	IsKey       func(pem string) bool
	// RelayKey is the relay's public key, in PEM.
	RelayKey string
	// Decrypt returns what the business encrypted for the relay in a JWE. Its errors are sentences
	// that begin with the name of a parameter, for the business to read.
	Decrypt func(jwe string) ([]byte, error)
	// Encrypt returns a JWE for the business.
	Encrypt func(plain []byte) (jwe string, err error)
}
